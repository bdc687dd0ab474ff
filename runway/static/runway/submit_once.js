// Shows that a slow form is being submitted, and ignores a second submit. The text is in
// data-submit-once, on the form or on an element in it that has a place for it (role="status").
document.querySelectorAll("[data-submit-once]").forEach((marked) => {
  const form = marked.closest("form");
  const status = marked.querySelector('[role="status"]');
  const buttons = () => form.querySelectorAll("button, input[type=submit]");
  form.addEventListener("submit", () => {
    if (status) { status.textContent = marked.dataset.submitOnce; }
    // Later, since a disabled button would not be submitted as the pressed one.
    setTimeout(() => buttons().forEach((button) => { button.disabled = true; }));
  });
  // When returning from the next page.
  addEventListener("pageshow", () => {
    if (status) { status.textContent = ""; }
    buttons().forEach((button) => { button.disabled = false; });
  });
});
