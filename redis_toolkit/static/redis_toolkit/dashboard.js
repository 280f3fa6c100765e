// Brings the parts of a page that are marked data-live up to date while it is looked at. What somebody is at work in
// (a form, an opened table) is left alone till they have left it.
"use strict";
{
  const page = document.querySelector("[data-refresh]");
  const pause = page.querySelector("[data-pause]");
  const period = 1000 * Number(page.dataset.refresh);
  let waits = 0;

  // (A button must not move away, or become another's, between being aimed at and being pressed.)
  const isBusy = (part) => (part.contains(document.activeElement) && document.activeElement !== document.body)
    || (part.querySelector("form") && part.matches(":hover"));

  function replace(fresh) {
    for (const part of page.querySelectorAll("[data-live]")) {
      const next = fresh.getElementById(part.id);
      if (!next || isBusy(part) || part.isEqualNode(next)) continue;
      const open = [...part.querySelectorAll("details")].map((each) => each.open);
      [...next.querySelectorAll("details")].forEach((each, at) => { each.open = Boolean(open[at]); });
      const scrolled = [...part.querySelectorAll(".scrolls")].map((each) => [each.scrollLeft, each.scrollTop]);
      part.replaceWith(document.adoptNode(next));
      [...next.querySelectorAll(".scrolls")].forEach((each, at) => { if (scrolled[at]) each.scrollTo(...scrolled[at]); });
    }
  }

  async function refresh() {
    if (document.hidden || pause.getAttribute("aria-pressed") === "true") return;
    if (waits > 0) { waits -= 1; return; }
    try {
      const answer = await fetch(location.href, { headers: { "X-Requested-With": "XMLHttpRequest" }, redirect: "error" });
      if (!answer.ok) throw new Error(answer.statusText);
      replace(new DOMParser().parseFromString(await answer.text(), "text/html"));
    } catch {
      // The site is away, or nobody is logged in any more: ask less often.
      waits = 5;
    }
  }

  pause.addEventListener("click", () => {
    pause.setAttribute("aria-pressed", String(pause.getAttribute("aria-pressed") !== "true"));
  });
  pause.closest("[hidden]").hidden = false;
  (async () => {
    for (;;) {
      await new Promise((done) => { setTimeout(done, period); });
      await refresh();
    }
  })();
}
