// The EDU panel of a partner's page, loaded separately, since looking up credentials may take long.
// It reloads until all processes have followed a reset.
(function load() {
  const panel = document.getElementById("edu-panel");
  if (!panel) { return; }
  let reason = "(could not be loaded)";
  fetch(panel.dataset.url, { redirect: "manual" }).then((answer) => {
    if (answer.type === "opaqueredirect") { reason = "You have been signed out. Reload the page to sign in again."; }
    if (!answer.ok) { throw new Error(answer.status); }
    return answer.text();
  }).then((text) => {
    const buttons = () => [...panel.querySelectorAll("button, input[type=submit]")];
    const focused = buttons().indexOf(document.activeElement);
    panel.innerHTML = text;
    if (focused >= 0) { buttons()[focused]?.focus(); }
    if (panel.querySelector("[data-behind]")) { setTimeout(load, 3000); }
  }).catch(() => {
    let status = panel.querySelector('[role="status"]');
    if (!status) {
      status = document.createElement("p");
      status.setAttribute("role", "status");
      panel.append(status);
    }
    status.textContent = reason;
  });
})();
