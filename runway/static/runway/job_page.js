/* Follows a run: requests what has changed, and counts seconds in between. Without it the page is
   complete, but has to be reloaded. */
"use strict";

(function () {
  const page = document.getElementById("job");
  const announced = document.getElementById("job-announcer");
  if (!page) { return; }

  const FIRST = 2000, LONGEST = 15000, QUICK_FOR = 60000;
  const opened = Date.now();
  let pause = FIRST, failures = 0, timer = null, asking = false;

  const head = () => page.querySelector('[data-live="head"]');
  const unfinished = () => head().hasAttribute("data-unfinished");

  function lasted(seconds) {
    const two = (number) => String(number).padStart(2, "0");
    if (seconds < 60) { return `${seconds} s`; }
    if (seconds < 3600) { return `${Math.floor(seconds / 60)} min ${two(seconds % 60)} s`; }
    return `${Math.floor(seconds / 3600)} h ${two(Math.floor(seconds % 3600 / 60))} min`;
  }

  function begin() {
    for (const each of page.querySelectorAll("[data-seconds]")) {
      each.since = each.since || Date.now() - 1000 * Number(each.dataset.seconds);
    }
    for (const each of page.querySelectorAll("[data-scriptless]")) { each.hidden = true; }
  }

  function count() {
    for (const each of page.querySelectorAll("[data-seconds]")) {
      each.textContent = lasted(Math.max(0, Math.floor((Date.now() - each.since) / 1000)));
    }
  }

  /* Leaves unchanged parts alone, to keep what a reader has opened or focused. */
  function replace(news) {
    for (const piece of news.querySelectorAll("[data-live]")) {
      const old = page.querySelector(`[data-live="${piece.dataset.live}"]`);
      if (!old || (piece.dataset.version && piece.dataset.version === old.dataset.version)) { continue; }
      const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
      old.replaceWith(piece);
      if (focused) {
        const again = document.getElementById(focused);
        if (again && !again.disabled) { again.focus(); } else { document.getElementById("content-start").focus(); }
      }
    }
    const say = page.querySelector('[data-live="run"]').dataset.announce;
    if (say !== announced.dataset.last) { announced.textContent = announced.dataset.last = say; }
    begin();
  }

  function trouble(text) {
    let note = document.getElementById("job-trouble");
    if (!note) {
      note = document.createElement("p");
      note.id = "job-trouble";
      note.className = "rw-callout rw-warn";
      note.setAttribute("role", "status");
      page.prepend(note);
    }
    note.textContent = text;
    note.hidden = !text;
  }

  function signedOut() {
    trouble("You have been signed out. ");
    const again = document.createElement("a");
    again.href = location.href; // leads to the sign-in page and back
    again.textContent = "Sign in again";
    document.getElementById("job-trouble").append(again, " to follow this job.");
  }

  async function ask() {
    timer = null;
    if (asking || document.hidden) { return; }
    asking = true;
    const query = new URLSearchParams(location.search);
    query.set("seen", head().dataset.version);
    try {
      const answer = await fetch(`${page.dataset.url}?${query}`, { redirect: "manual" });
      if (answer.type === "opaqueredirect") {
        signedOut();
        return;
      }
      if (answer.status === 403 || answer.status === 404) {
        trouble("This job cannot be followed any more. Reload the page.");
        return;
      }
      if (!answer.ok) { throw new Error(answer.status); }
      const news = document.createElement("template");
      news.innerHTML = await answer.text();
      replace(news.content);
      failures = 0;
      if (document.getElementById("job-trouble")) { trouble(""); }
    } catch {
      failures += 1;
      if (failures >= 3) { trouble("Runway does not answer. Trying again; if this stays, reload the page."); }
    } finally {
      asking = false;
    }
    const hurry = !failures && Date.now() - opened < QUICK_FOR;
    pause = hurry ? FIRST : Math.min(pause * 1.2, LONGEST);
    plan(pause);
  }

  function plan(after) {
    if (unfinished() && !document.hidden && timer === null) { timer = setTimeout(ask, after); }
  }

  document.addEventListener("visibilitychange", function () {
    clearTimeout(timer);
    timer = null;
    plan(0);
  });
  announced.dataset.last = page.querySelector('[data-live="run"]').dataset.announce;
  begin();
  setInterval(count, 1000);
  plan(FIRST);
})();
