/* Keeps the figures of "Your limits" up to date, and sends the requests of its button. The page does without. */

"use strict";

(() => {
  const BEAT = 1000; // milliseconds between two looks
  const QUICK = 250; // while requests are sent
  const REQUESTS = 20;
  const NAMES = ["Retry-After", "RateLimit", "RateLimit-Policy"];

  const find = (id) => document.getElementById(id);
  const counters = find("counters");
  const asOf = find("as-of");
  const button = find("send");
  const said = find("said");
  const denial = find("denial");
  const rows = document.querySelector(".answers tbody");

  let sending = false;
  let waiting = 0;

  // ---- what is left

  function show(counter) {
    const card = find(`counter-${counter.name}`);
    if (!card) return; // who has signed in meanwhile is counted by other rules: a reload shows them
    card.classList.toggle("denied", !counter.allowed);
    card.querySelector(".verdict").textContent = counter.verdict;
    for (const meter of counter.meters) {
      const rate = find(`rate-${meter.id}`);
      if (!rate) continue;
      rate.classList.toggle("out", meter.out);
      rate.querySelector(".left").textContent = meter.text;
      rate.querySelector("meter").value = meter.remaining;
      rate.querySelector("meter").textContent = meter.text; // what is read aloud
    }
  }

  async function look() {
    try {
      const answer = await fetch(counters.dataset.now, { headers: { Accept: "application/json" } });
      if (!answer.ok) throw new Error(answer.status);
      (await answer.json()).counters.forEach(show);
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
    if (!document.hidden) waiting = setTimeout(watch, sending ? QUICK : BEAT);
  }

  // ---- twenty requests

  function cell(tag, text, attributes = {}) {
    const made = document.createElement(tag);
    made.textContent = text;
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
  }

  function note(number, answer, before) {
    const row = document.createElement("tr");
    if (!answer.ok) row.className = "no";
    row.append(cell("th", number, { scope: "row", class: "number" }), cell("td", answer.status, { class: "status" }));
    for (const name of NAMES) {
      const value = answer.headers.get(name) ?? "–";
      const isSame = name === "RateLimit-Policy" && before?.headers.get(name) === value;
      const made = cell("td", isSame ? "as above" : "", { "data-name": name, class: isSame || value === "–" ? "same" : "" });
      if (!isSame) made.append(cell("code", value));
      row.append(made);
    }
    rows.append(row);
  }

  async function showDenial(number, answer) {
    const names = ["Content-Type", "Cache-Control", ...NAMES];
    const head = names.filter((name) => answer.headers.has(name)).map((name) => `${name}: ${answer.headers.get(name)}`);
    const status = `HTTP ${answer.status} ${answer.statusText}`.trim();
    denial.querySelector("code").textContent = [status, ...head, "", await answer.text()].join("\n");
    denial.querySelector(".note").textContent = `The answer to request ${number}, as it came.`;
    denial.hidden = false;
  }

  async function send() {
    let before = null;
    let denied = 0;
    rows.replaceChildren();
    find("answers").hidden = false;
    for (let number = 1; number <= REQUESTS; number += 1) {
      const answer = await fetch(button.dataset.url, { cache: "no-store", headers: { Accept: "application/json" } });
      note(number, answer, before);
      before = answer;
      if (answer.status === 429) {
        denied += 1;
        if (denied === 1) await showDenial(number, answer);
      }
    }
    if (!denied) denial.hidden = true;
    find("to-answers").hidden = false;
    return `${REQUESTS - denied} answered, ${denied} denied.`;
  }

  async function press() {
    if (sending) return;
    sending = true;
    button.setAttribute("aria-disabled", "true"); // it keeps the focus
    said.textContent = "Sending …";
    watch();
    try {
      said.textContent = await send();
    } catch {
      said.textContent = "No answer.";
    }
    sending = false;
    button.removeAttribute("aria-disabled");
    watch();
  }

  find("all").open = matchMedia("(min-width: 50.001rem)").matches; // twenty are long on a phone
  button.hidden = false;
  button.addEventListener("click", press);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) watch();
  });
  waiting = setTimeout(watch, BEAT);
})();
