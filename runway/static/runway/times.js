/* Shows times as the reader's browser writes them. Pages come with "Nov 26, 2026, 2:05 PM UTC", the
   format of runway/formats; the whole time with its zone is on hover. */
"use strict";
(() => {
  const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
  const WRITTEN = new RegExp(`(${MONTHS.join("|")}) (\\d{1,2}), (\\d{4}), (\\d{1,2}):(\\d{2}) ([AP]M) UTC`);
  const NOT_SHOWN = "script, style, textarea, option, pre, time, title";
  const short = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  const whole = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });

  function asElement([, month, day, year, hour, minute, half]) {
    const at = new Date(Date.UTC(year, MONTHS.indexOf(month), day, hour % 12 + (half === "PM" ? 12 : 0), minute));
    const element = document.createElement("time");
    element.dateTime = at.toISOString();
    element.title = whole.format(at);
    element.textContent = short.format(at);
    return element;
  }

  function convert(root) {
    const texts = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    const found = [];
    while (texts.nextNode()) {
      if (WRITTEN.test(texts.currentNode.data) && !texts.currentNode.parentElement?.closest(NOT_SHOWN)) found.push(texts.currentNode);
    }
    for (let text of found) {
      for (let match; (match = WRITTEN.exec(text.data));) {
        const rest = text.splitText(match.index).splitText(match[0].length);
        rest.previousSibling.replaceWith(asElement(match));
        text = rest;
      }
    }
  }

  convert(document.body);
  new MutationObserver((changes) => {
    for (const change of changes) for (const node of change.addedNodes) if (node.isConnected && node.nodeType === Node.ELEMENT_NODE) convert(node);
  }).observe(document.body, { childList: true, subtree: true });
})();
