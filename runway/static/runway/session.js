// Warns before an unused session ends, and keeps what was typed on the page after it has ended.
"use strict";

(function () {
  const { url, signIn, seconds } = document.currentScript.dataset;
  const WARN = 120, WRITTEN_EVERY = 60; // seconds; the server records use once a minute
  const bar = document.createElement("div");
  let due, timer = null, shown = "";

  bar.className = "rw-session rw-callout rw-warn";
  bar.setAttribute("role", "alert");
  bar.hidden = true;

  function show(kind, ...content) {
    if (kind === shown) { return; }
    shown = kind;
    bar.replaceChildren(...content);
    bar.hidden = !kind;
    if (!bar.isConnected) { document.body.append(bar); }
  }

  function make(tag, text, attributes) {
    const element = Object.assign(document.createElement(tag), attributes);
    element.textContent = text;
    return element;
  }

  function plan(after) {
    clearTimeout(timer);
    due = Date.now() + 1000 * after;
    timer = setTimeout(() => ask("GET"), 1000 * after);
  }

  // After signing in again in another tab, the token is new, but open forms have the old one.
  function renew() {
    const token = document.cookie.match(/(?:^|; )csrftoken=([^;]+)/);
    if (!token) { return; }
    for (const each of document.querySelectorAll("[name=csrfmiddlewaretoken]")) { each.value = token[1]; }
  }

  async function ask(method) {
    renew();
    const token = document.querySelector("[name=csrfmiddlewaretoken]");
    let left;
    try {
      const headers = method === "POST" && token ? { "X-CSRFToken": token.value } : {};
      const answer = await fetch(url, { method, headers });
      if (!answer.ok) { throw new Error(answer.status); }
      left = (await answer.json()).secondsLeft;
    } catch {
      plan(30);
      return;
    }
    renew();
    if (left === 0) {
      const link = make("a", "Sign in again in a new tab", {
        href: `${signIn}?next=${encodeURIComponent(location.pathname + location.search)}`, target: "_blank",
      });
      show("ended", "You have been signed out. What you typed is still on this page. ", link, ", then come back and submit it.");
      plan(15);
    } else if (left > WARN) {
      show("");
      plan(left - WARN);
    } else if (method === "POST") {
      show("last", "This session ends in two minutes, 12 hours after you signed in. Save what you are working on.");
      plan(left + 1);
    } else {
      const stay = make("button", "Stay signed in", { className: "rw-button", type: "button" });
      stay.addEventListener("click", () => ask("POST"));
      show("soon", "You will be signed out in two minutes, because you have been inactive. ", stay);
      plan(Math.min(left + 1, 15));
    }
  }

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) { return; }
    renew();
    if (shown || Date.now() >= due) { ask("GET"); }
  });
  document.addEventListener("submit", renew, true);
  plan(Math.max(1, Number(seconds) - WRITTEN_EVERY - WARN));
})();
