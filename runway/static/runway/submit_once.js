// A form that takes its time: say so, and take no second submit. The text is in data-submit-once,
// at the form or at something within it that has a place for it (role="status").
document.querySelectorAll("[data-submit-once]").forEach((marked) => {
  const form = marked.closest("form");
  const status = marked.querySelector('[role="status"]');
  const buttons = () => form.querySelectorAll("button, input[type=submit]");
  form.addEventListener("submit", () => {
    if (status) { status.textContent = marked.dataset.submitOnce; }
    // Later: a disabled button would not tell which of them was pressed.
    setTimeout(() => buttons().forEach((button) => { button.disabled = true; }));
  });
  // Back from the next page.
  addEventListener("pageshow", () => {
    if (status) { status.textContent = ""; }
    buttons().forEach((button) => { button.disabled = false; });
  });
});
