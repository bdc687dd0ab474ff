// The new-job page: shows the chosen assessment's fields without a reload, checks files as they are
// chosen, and uploads each as a separate job. Without this script, the page's forms do all of it.
(function () {
  "use strict";

  const HASHED_UP_TO = 128 * 1024 * 1024; // WebCrypto needs the whole content in memory
  let rows = []; // the chosen files: {key, main, file, found, state, ...}
  let busy = false;

  const page = document.getElementById("new-job");
  if (!page || !window.fetch || !window.DataTransfer) { return; }
  const form = () => document.getElementById("job");
  const token = () => form().querySelector("[name=csrfmiddlewaretoken]").value;

  function make(tag, className, ...content) {
    const element = document.createElement(tag);
    if (className) { element.className = className; }
    element.append(...content.filter((each) => each !== null && each !== undefined));
    return element;
  }

  function size(bytes) {
    const units = ["bytes", "kB", "MB", "GB"];
    let unit = 0;
    while (bytes >= 1024 && unit < units.length - 1) { bytes /= 1024; unit += 1; }
    return `${unit ? bytes.toFixed(1) : bytes} ${units[unit]}`;
  }

  // --- Tenant and assessment: the page for them replaces this one's content -------------------

  let turns = 0; // responses may arrive in a different order than their requests

  async function choose() {
    const turn = turns += 1;
    const where = document.getElementById("where");
    const query = new URLSearchParams(new FormData(where));
    for (const [name, value] of values()) { query.set(name, value); }
    const url = `${location.pathname}?${query}`;
    let focused = null;
    page.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(url, { credentials: "same-origin" });
      const text = await answer.text();
      const next = new DOMParser().parseFromString(text, "text/html").getElementById("new-job");
      if (turn !== turns) { return; }
      if (!answer.ok || answer.redirected || !next) { throw new Error(answer.status); }
      focused = document.activeElement && document.activeElement.id;
      const kept = values(); // includes what was chosen in the meantime
      page.replaceChildren(...next.childNodes);
      restore(kept);
    } catch (error) {
      if (turn !== turns) { return; }
      location.assign(url); // the same as without a script
      return;
    }
    page.removeAttribute("aria-busy");
    history.replaceState(null, "", url);
    setUp();
    if (focused && document.getElementById(focused)) { document.getElementById(focused).focus(); }
  }

  // Returns to what is shown, and drops pending requests.
  function stay() {
    turns += 1;
    page.removeAttribute("aria-busy");
  }

  function values() {
    const all = form() ? [...new FormData(form())] : [];
    return all.filter(([name]) => name === "school_year" || name.startsWith("param_"));
  }

  function restore(kept) {
    for (const [name, value] of form() ? kept : []) {
      for (const field of [...form().elements].filter((each) => each.name === name)) {
        if (field.type === "radio") { field.checked = field.checked || field.value === value; }
        else if (!field.options || [...field.options].some((option) => option.value === value)) { field.value = value; }
      }
    }
  }

  // --- Files ------------------------------------------------------------------------------------

  function setUp() {
    const where = document.getElementById("where");
    if (where) {
      const chosen = () => new URLSearchParams(new FormData(where)).toString();
      const shown = chosen(); // a select may report a change that is already shown
      where.querySelectorAll("select, input[list]").forEach((each) => each.addEventListener("change", () => {
        const listed = each.list && ![...each.list.options].some((option) => option.value === each.value);
        if (!each.value || listed || busy) { return; }
        if (chosen() !== shown) { choose(); } else { stay(); }
      }));
      const button = document.getElementById("where-button");
      if (button && form()) { button.remove(); }
    }
    if (!form()) { return; }
    form().addEventListener("submit", submit);
    form().querySelectorAll(".rw-drop").forEach(setUpDrop);
    const keys = new Set([...form().querySelectorAll(".rw-drop")].map((drop) => drop.dataset.key));
    rows = rows.filter((row) => keys.has(row.key) && row.state !== "done");
    rows.forEach((row) => { row.element = null; check(row); });
    render();
  }

  function dropOf(key) { return form().querySelector(`.rw-drop[data-key="${key}"]`); }

  function setUpDrop(drop) {
    const input = drop.querySelector("input[type=file]");
    const several = "several" in drop.dataset;
    input.required = false; // the list below has the chosen files, not the input
    input.classList.add("rw-nameless");
    const hint = make("p", "rw-drop-hint", several ? "Drop files here, or choose them:" : "Drop a file here, or choose it:");
    input.before(hint);
    const take = () => { add(drop, [...input.files]); input.value = ""; };
    input.addEventListener("change", take);
    if (input.files.length) { take(); }  // chosen before this script was loaded
    for (const name of ["dragenter", "dragover"]) {
      drop.addEventListener(name, (event) => { event.preventDefault(); if (!busy) { drop.classList.add("is-over"); } });
    }
    for (const name of ["dragleave", "drop"]) {
      drop.addEventListener(name, (event) => { event.preventDefault(); drop.classList.remove("is-over"); });
    }
    drop.addEventListener("drop", (event) => { if (!busy) { add(drop, [...event.dataTransfer.files]); } });
  }

  function add(drop, files) {
    if (busy || !files.length) { return; }
    const several = "several" in drop.dataset;
    if (!several) {
      rows = rows.filter((row) => row.key !== drop.dataset.key);
      files = files.slice(0, 1);
    }
    for (const file of files) {
      const row = { key: drop.dataset.key, main: "main" in drop.dataset, file, state: "checking" };
      rows.push(row);
      check(row);
    }
    clearErrors(drop.closest(".rw-field"));
    render();
  }

  // Has the server check the beginning of the file, never the whole file.
  function check(row) {
    row.state = "checking";
    row.checked = (async () => {
      try {
        row.found = await ask(row);
        row.state = row.found.refusals.length ? "refused" : "ready";
      } catch (error) {
        row.found = { refusals: [], warnings: [{ text: `${error.message} It will be checked when you submit it.` }] };
        row.state = "ready";
      }
      render();
    })();
    return row.checked;
  }

  async function ask(row) {
    const { file } = row;
    const data = new FormData();
    for (const name of ["tenant", "bundle"]) { data.append(name, form().elements[name].value); }
    data.append("key", row.key);
    data.append("name", file.name);
    data.append("size", file.size);
    let head;
    try {
      head = await file.slice(0, Number(form().dataset.head)).arrayBuffer();
      row.sha256 = await hash(file);
    } catch (error) {
      return { refusals: ["The browser cannot read this file. Is it a folder, or open in another program? Choose it again."], warnings: [] };
    }
    data.append("head", new Blob([head]), "head");
    data.append("sha256", row.sha256 || "");
    let answer;
    try {
      answer = await fetch(form().dataset.check, {
        method: "POST", body: data, credentials: "same-origin", headers: { "X-CSRFToken": token(), Accept: "application/json" },
      });
    } catch (error) {
      throw new Error("The file could not be checked, since Runway did not answer.");
    }
    if (answer.redirected) { throw new Error("You have been signed out; sign in again in another tab."); }
    if (!answer.ok) { throw new Error("The file could not be checked."); }
    return answer.json();
  }

  async function hash(file) {
    if (!window.crypto || !crypto.subtle || file.size > HASHED_UP_TO) { return ""; }
    const digest = await crypto.subtle.digest("SHA-256", await file.arrayBuffer());
    return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  // --- The list of files --------------------------------------------------------------------------

  const PILLS = {
    checking: ["rw-busy", "Checking"], ready: ["rw-good", "Ready"], refused: ["rw-bad", "Cannot be loaded"],
    waiting: ["rw-idle", "Waiting"], uploading: ["rw-busy", "Uploading"], storing: ["rw-busy", "Storing"],
    done: ["rw-good", "Submitted"], failed: ["rw-bad", "Not submitted"], cancelled: ["rw-idle", "Upload cancelled"],
  };

  function warningsOf(row) {
    const found = row.found ? [...row.found.warnings] : [];
    const twin = row.sha256 && rows.find((other) => other.key === row.key && other.sha256 === row.sha256);
    if (twin && twin !== row && row.state !== "done") { found.push({ text: `It has the same content as ${twin.file.name} above. Remove one of them.` }); }
    return found;
  }

  function render() {
    form().querySelectorAll(".rw-drop").forEach((drop) => {
      const list = drop.closest(".rw-field").querySelector(".rw-files");
      const elements = rows.filter((row) => row.key === drop.dataset.key).map(draw);
      const same = elements.length === list.children.length && elements.every((each, at) => list.children[at] === each);
      if (!same) { list.replaceChildren(...elements); }
    });
    const mains = rows.filter((row) => row.main && row.state !== "done" && row.state !== "refused").length;
    document.getElementById("submit").textContent = mains > 1 ? `Submit ${mains} jobs` : "Submit";
  }

  function draw(row) {
    if (!row.element) {
      row.element = make("li");
      row.pill = make("span", "rw-pill");
      row.bar = make("progress");
      row.bar.max = 100;
      row.bar.setAttribute("aria-label", `Upload of ${row.file.name}`);
      row.percent = make("span", "rw-quiet");
      row.progress = make("div", "rw-progress", row.bar, row.percent);
      row.notes = make("div", "rw-notes");
      row.notes.setAttribute("role", "status");
      row.button = make("button", "rw-button is-plain");
      row.button.type = "button";
      row.button.addEventListener("click", () => stop(row));
      row.element.append(
        make("div", "rw-file", make("span", "rw-file-name", row.file.name), make("span", "rw-quiet", size(row.file.size)), row.pill, row.button),
        row.progress, row.notes,
      );
    }
    const warnings = warningsOf(row);
    let [tone, words] = PILLS[row.state];
    if (row.state === "ready" && warnings.length) { [tone, words] = ["rw-warn", "Check this"]; }
    row.pill.className = `rw-pill ${tone}`;
    row.pill.textContent = words;
    const moving = row.state === "uploading" || row.state === "storing";
    row.progress.hidden = !moving;
    row.bar.value = row.sent || 0;
    row.percent.textContent = row.state === "storing" ? "uploaded, now being stored" : `${row.sent || 0} %`;
    row.button.hidden = row.state === "done" || row.state === "storing" || (busy && !moving && row.state !== "waiting");
    row.button.textContent = moving ? "Cancel" : "Remove";
    row.button.setAttribute("aria-label", `${moving ? "Cancel upload of" : "Remove"} ${row.file.name}`);
    const notes = notesOf(row, warnings);
    const told = JSON.stringify([row.state === "done", notes.map((note) => note.textContent)]);
    if (told !== row.told) { row.told = told; row.notes.replaceChildren(...notes); }
    return row.element;
  }

  function link(url, text) {
    const anchor = make("a", "", text);
    anchor.href = url;
    return anchor;
  }

  function notesOf(row, warnings) {
    const notes = [];
    const refusals = row.state === "failed" ? row.errors : row.state === "refused" ? row.found.refusals : [];
    for (const text of refusals) { notes.push(make("p", "rw-bad", text)); }
    if (row.job) { notes.push(make("p", "", link(row.job, "Open its job"))); }
    for (const each of warnings) {
      notes.push(make("p", "rw-warn", each.text, ...(each.url ? [" See ", link(each.url, each.link), "."] : [])));
    }
    if (row.state === "ready") {
      const facts = [...(row.found.notes || [])];
      if (row.found.encoding) { facts.push(`Text in ${row.found.encoding}.`); }
      if (!row.sha256) { facts.push("Runway checks after the upload whether this file was submitted before."); }
      if (facts.length) { notes.push(make("p", "rw-quiet", facts.join(" "))); }
    }
    return notes;
  }

  function stop(row) {
    if (row.request) { row.request.abort(); return; }
    if (row.state === "waiting") { row.state = "cancelled"; render(); return; }
    const next = row.element.nextElementSibling || row.element.previousElementSibling;
    rows = rows.filter((other) => other !== row);
    render();
    (next ? next.querySelector("button") : dropOf(row.key).querySelector("input[type=file]")).focus();
  }

  // --- Submitting -----------------------------------------------------------------------------------

  function clearErrors(field) { field.querySelectorAll(".errorlist").forEach((each) => each.remove()); }

  function showErrors(name, texts) {
    const field = document.getElementById(`field_${name}`);
    if (!field) { return false; }
    clearErrors(field);
    const list = make("ul", "errorlist", ...texts.map((text) => make("li", "", text)));
    (field.querySelector("legend, label") || field.firstChild).after(list);
    return true;
  }

  function tell(tone, ...content) {
    const outcome = document.getElementById("outcome");
    outcome.replaceChildren(make("div", `rw-callout ${tone}`, ...content));
  }

  function complain(text, focus) {
    tell("rw-bad", make("p", "", text));
    (focus || document.getElementById("outcome")).focus();
  }

  async function submit(event) {
    event.preventDefault();
    if (busy || !form().reportValidity()) { return; }
    const failed = document.getElementById("failed");
    if (failed) { failed.remove(); }
    document.getElementById("outcome").replaceChildren();
    const seen = JSON.stringify(rows.map(warningsOf));
    const checking = rows.some((row) => row.state === "checking");
    if (checking) { tell("rw-busy", make("p", "", "Checking the files…")); }
    await Promise.all(rows.map((row) => row.checked));

    for (const drop of form().querySelectorAll(".rw-drop[data-required]")) {
      if (!rows.some((row) => row.key === drop.dataset.key && row.state !== "done")) {
        const done = rows.some((row) => row.key === drop.dataset.key);
        showErrors(`file_${drop.dataset.key}`, [done ? "All of these were submitted. Choose another file." : "Choose a file."]);
        complain(`A file for ${drop.dataset.label} is needed.`, drop.querySelector("input[type=file]"));
        return;
      }
    }
    const mains = rows.filter((row) => row.main && row.state !== "refused" && row.state !== "done");
    const others = rows.filter((row) => !row.main);
    if (!mains.length || others.some((row) => row.state === "refused")) {
      complain("Nothing was submitted: a file cannot be loaded. See the message next to it.");
      return;
    }
    if (mains.length > 1 && others.length) {
      complain("The other file belongs to only one of these, and Runway cannot tell which. Submit them one at a time.");
      return;
    }
    if (checking && seen !== JSON.stringify(rows.map(warningsOf))) {
      complain("Some files have warnings. Read them, then submit again to load the files anyway.");
      return;
    }
    await uploadAll(mains, others, event.submitter);
  }

  async function uploadAll(mains, others, button) {
    setBusy(true);
    window.addEventListener("beforeunload", hold);
    document.getElementById("outcome").replaceChildren();
    mains.forEach((row) => { row.state = "waiting"; row.errors = []; });
    const names = new Set([...form().querySelectorAll(".rw-drop input[type=file]")].map((input) => input.name));
    const fields = [...new FormData(form())].filter(([name]) => !names.has(name)); // the current values, for all jobs
    if (button && button.name) { fields.push([button.name, button.value]); }
    render();
    for (const row of mains) {
      if (row.state !== "waiting") { continue; }
      await upload(row, others, fields);
    }
    setBusy(false);
    window.removeEventListener("beforeunload", hold);
    render();
    finish(mains);
  }

  function setBusy(now) {
    busy = now;
    page.querySelectorAll("#where select, #where input, .rw-drop input, #submit, #preview").forEach((each) => { each.disabled = now; });
  }

  function hold(event) { event.preventDefault(); }

  function upload(row, others, fields) {
    return new Promise((resolve) => {
      const data = new FormData();
      fields.forEach(([name, value]) => data.append(name, value));
      for (const each of [row, ...others]) { data.append(`file_${each.key}`, each.file, each.file.name); }
      const request = row.request = new XMLHttpRequest();
      row.state = "uploading";
      row.sent = 0;
      request.upload.addEventListener("progress", (event) => {
        if (event.lengthComputable) { row.sent = Math.floor(100 * event.loaded / event.total); render(); }
      });
      request.upload.addEventListener("load", () => { row.state = "storing"; render(); });
      const end = (state, errors) => {
        row.request = null;
        row.state = state;
        row.errors = errors || [];
        render();
        resolve();
      };
      request.addEventListener("load", () => answered(row, request, end));
      request.addEventListener("error", () => end("failed", [
        "The connection was lost, or the file changed during the upload. Nothing was submitted. Check the connection and submit again."]));
      request.addEventListener("abort", () => end("cancelled"));
      request.open("POST", form().getAttribute("action"));
      request.setRequestHeader("Accept", "application/json");
      request.setRequestHeader("X-CSRFToken", token());
      request.send(data);
      render();
    });
  }

  function answered(row, request, end) {
    let answer = null;
    try { answer = JSON.parse(request.responseText); } catch (error) { /* a page, not JSON */ }
    if (request.status === 201 && answer) {
      row.job = answer.url;
      if (!row.sha256) { row.found.warnings.push(...answer.warnings); }
      row.unseen = !row.sha256 && answer.warnings.length > 0;
      end("done");
    } else if (answer && answer.errors) {
      const own = [];
      for (const [name, texts] of Object.entries(answer.errors)) {
        if (name === "__all__" || name === `file_${row.key}` || !showErrors(name, texts)) { own.push(...texts); }
      }
      end("failed", own.length ? own : ["See the marked fields above."]);
    } else if (request.status === 403 || /\/login\//.test(request.responseURL)) {
      end("failed", ["You have been signed out. Sign in again in another tab, then submit here again."]);
    } else if (request.status === 413) {
      end("failed", ["The file is larger than the server in front of Runway allows. Split it into smaller files."]);
    } else {
      end("failed", ["Something went wrong on our side, and nothing was submitted. Try again in a few minutes. If that does not help, contact Runway support."]);
    }
  }

  function finish(mains) {
    const done = mains.filter((row) => row.state === "done");
    const rest = mains.length - done.length;
    const refused = rows.filter((row) => row.state === "refused").length;
    if (done.length === 1 && !rest && !done[0].unseen && rows.length === done.length + rows.filter((row) => !row.main).length) {
      location.assign(done[0].job);
      return;
    }
    const list = make("ul", "rw-reasons", ...done.map((row) => make("li", "", link(row.job, row.file.name))));
    const counted = (count) => `${count} ${count === 1 ? "job was" : "jobs were"} submitted`;
    let text = done.length ? `${counted(done.length)}.` : "Nothing was submitted.";
    if (done.length && rest) {
      text = `${counted(done.length)}; ${rest} of ${mains.length} files ${rest === 1 ? "was" : "were"} not.`;
    }
    if (refused) { text += ` ${refused} ${refused === 1 ? "file" : "files"} cannot be loaded.`; }
    if (rest + refused) { text += ` The reason is next to ${rest + refused === 1 ? "the file" : "each file"}.`; }
    if (rest) { text += " Submit again to retry."; }
    tell(!done.length ? "rw-bad" : rest || refused ? "rw-warn" : "rw-good", make("p", "", make("strong", "", text)),
      done.length ? list : null, done.length ? make("p", "", link(form().dataset.list, "All jobs")) : null);
    document.getElementById("outcome").focus();
  }

  setUp();
}());
