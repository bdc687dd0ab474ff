// The table of unmatched rows: counts changes, accepts pasted columns, and supports the keyboard.
// The form also works without this script. The server does the checking either way.
"use strict";
(() => {
  const form = document.getElementById("unmatched-form");
  if (!form) { return; }
  const inputs = [...form.querySelectorAll("input[name^='id-']")];
  const rerun = form.querySelector("[data-rerun]");
  const count = form.querySelector("[data-count]");
  const announced = form.querySelector("[data-announce]");
  if (!rerun) { return; }

  const clean = (text) => text.replace(/[\r\n\0]/g, "").trim();
  const isChanged = (input) => clean(input.value) !== input.dataset.old;
  // Other cells of rows that cannot be read. Such a row's ID is right, and has no input.
  const cells = [...form.querySelectorAll("input[data-cell]")];
  const choices = [...form.querySelectorAll("[data-choice]")];
  const isChosen = (choice) => Boolean(choice.querySelector("input:checked")?.value);
  // A row's choice is in the table row below it.
  const choiceOf = (input) => input.closest("tr").nextElementSibling?.querySelector("[data-choice]");
  const inputOf = (choice) => choice.closest("tr").previousElementSibling.querySelector("input[name^='id-']");
  const rows = (number) => `${number} row${number === 1 ? "" : "s"}`;
  let leaving = false;

  function show(input) {
    const changed = isChanged(input);
    input.closest("tr").classList.toggle("is-changed", changed);
    input.parentElement.querySelector(".rw-sheet-old").hidden = !changed;
  }

  function mark(input) {
    show(input);
    input.removeAttribute("aria-invalid");
    input.removeAttribute("aria-describedby");
    input.parentElement.querySelector(".rw-sheet-error")?.remove();
  }

  function changedRows() {
    return new Set([...inputs, ...cells].filter(isChanged).map((each) => each.closest("[data-entry], tr"))).size + choices.filter(isChosen).length + Number(form.dataset.elsewhere);
  }

  function tell() {
    const changed = changedRows();
    count.textContent = changed ? `${rows(changed)} will be re-run.` : "Nothing changed yet.";
    rerun.textContent = changed ? `Re-run ${rows(changed)}` : "Re-run the changed rows";
    rerun.disabled = changed === 0;
  }

  function set(input, value) {
    input.value = clean(value);
    mark(input);
  }

  // One column fills the cells below the first. Two columns are old and new IDs, with rows in any order.
  function paste(input, text) {
    const lines = text.replace(/\r\n?/g, "\n").replace(/\n$/, "").split("\n").map((line) => line.split("\t"));
    if (lines.length === 1 && lines[0].length === 1) { return false; }
    if (clean(lines[0][0]) === form.dataset.column) { lines.shift(); } // a whole column, with its header
    let filled = 0;
    let left = 0;
    if (lines.some((cells) => cells.length > 1)) {
      const byOld = Map.groupBy
        ? Map.groupBy(inputs, (each) => each.dataset.old)
        : inputs.reduce((map, each) => map.set(each.dataset.old, [...(map.get(each.dataset.old) || []), each]), new Map());
      for (const cells of lines) {
        if (!cells.some(clean)) { continue; }
        const old = clean(cells[0]);
        const found = old ? byOld.get(old) || [] : [];
        const value = clean(cells[1] || "");
        if (!value || !found.length) { left += 1; continue; }
        found.forEach((each) => set(each, value));
        filled += found.length;
      }
      announced.textContent = `${rows(filled)} got a new ID.` +
        (left ? ` ${left} pasted line${left === 1 ? "" : "s"} did not match a row on this page.` : "");
    } else {
      const start = inputs.indexOf(input);
      lines.forEach(([value], place) => {
        const target = inputs[start + place];
        if (!target && clean(value)) { left += 1; }
        if (target && clean(value)) { set(target, value); filled += 1; }
      });
      announced.textContent = `${filled} ID${filled === 1 ? "" : "s"} pasted.` +
        (left ? ` ${left} did not fit below the last row of this page.` : "");
    }
    tell();
    return true;
  }

  form.addEventListener("input", (event) => {
    if (cells.includes(event.target)) {
      const entry = event.target.closest("[data-entry], tr");
      entry.classList.toggle("is-changed", cells.some((each) => entry.contains(each) && isChanged(each)));
      tell();
    }
    if (inputs.includes(event.target)) {
      mark(event.target);
      const choice = choiceOf(event.target);
      if (choice && isChanged(event.target)) { choose(choice, ""); }
      tell();
    }
  });

  // A row has another ID or a chosen student, not both.
  function choose(choice, value) {
    const radio = [...choice.querySelectorAll("input")].find((each) => each.value === value);
    if (radio) { radio.checked = true; }
    choice.closest("tr").classList.toggle("is-changed", isChosen(choice));
  }

  form.addEventListener("change", (event) => {
    const choice = event.target.closest("[data-choice]");
    if (!choice) { return; }
    choose(choice, event.target.value);
    if (isChosen(choice)) { set(inputOf(choice), inputOf(choice).dataset.old); }
    tell();
  });

  form.addEventListener("paste", (event) => {
    if (inputs.includes(event.target) && paste(event.target, event.clipboardData.getData("text"))) {
      event.preventDefault();
    }
  });

  form.addEventListener("keydown", (event) => {
    const place = inputs.indexOf(event.target);
    if (place < 0 || event.isComposing) { return; }
    const step = { Enter: event.shiftKey ? -1 : 1, ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      const next = inputs[place + step];
      if (next) { next.focus(); next.select(); }
    } else if (event.key === "Escape") {
      set(event.target, event.target.dataset.old);
      tell();
    }
  });

  form.addEventListener("submit", () => { leaving = true; });
  window.addEventListener("beforeunload", (event) => {
    if (!leaving && changedRows()) { event.preventDefault(); }
  });
  // The browser may have kept what was typed when someone comes back to the page.
  window.addEventListener("pageshow", () => { leaving = false; inputs.forEach(show); choices.forEach((each) => choose(each, each.querySelector("input:checked")?.value || "")); tell(); });

  form.querySelector("[data-without-script]").hidden = true;
  form.querySelectorAll("[data-with-script]").forEach((each) => { each.hidden = false; });
  tell();
})();
