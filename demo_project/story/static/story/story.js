/* Keeps the first page's figures up to date while somebody looks. The page does without. */

"use strict";

(() => {
  const BEAT = 3000; // milliseconds between two looks
  const ledger = document.getElementById("ledger");
  const asOf = document.getElementById("as-of");
  let waiting = 0;

  function put(element, text) {
    if (element.textContent === text) return;
    element.textContent = text;
    element.classList.remove("new");
    void element.offsetWidth; // so that it begins again
    element.classList.add("new");
  }

  function show(name, measured) {
    const row = document.getElementById(name);
    if (!row) return;
    const places = row.querySelectorAll("dd");
    measured.figures.forEach((figure, place) => put(places[place], figure.value));
    row.querySelector("path").setAttribute("d", measured.bars);
  }

  async function look() {
    try {
      const answer = await fetch(ledger.dataset.now, { headers: { Accept: "application/json" } });
      if (!answer.ok) throw new Error(answer.status);
      Object.entries(await answer.json()).forEach(([name, measured]) => show(name, measured));
      asOf.textContent = "Live";
      asOf.className = "live";
    } catch {
      asOf.textContent = "No answer: these figures are old";
      asOf.className = "";
    }
  }

  async function watch() {
    clearTimeout(waiting);
    await look();
    clearTimeout(waiting);
    if (!document.hidden) waiting = setTimeout(watch, BEAT);
  }

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) clearTimeout(waiting);
    else watch();
  });
  watch();
})();
