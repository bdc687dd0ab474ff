// Names Django's autocomplete fields for screen readers, since select2 leaves its parts unnamed.
(($) => {
  const labelOf = (select) => document.querySelector(`label[for="${select.id}"]`);
  const fieldOf = (select) => select.nextElementSibling?.querySelector('[role="combobox"]');

  // After Django's own script, which creates the fields when the page is ready.
  $(() => {
    document.querySelectorAll("select.admin-autocomplete").forEach((select) => {
      const label = labelOf(select);
      const field = fieldOf(select);
      if (!label || !field) { return; }
      label.id ||= `${select.id}_label`;
      const chosen = field.querySelector('[role="textbox"]');
      // It shows the choice, and accepts no text.
      ["role", "aria-readonly"].forEach((name) => chosen?.removeAttribute(name));
      field.setAttribute("aria-labelledby", [label.id, chosen?.id].filter(Boolean).join(" "));
      field.querySelector('[role="searchbox"]')?.setAttribute("aria-labelledby", label.id);
      label.addEventListener("click", () => field.focus());
    });
  });

  $(document).on("select2:open", ({ target }) => {
    const results = document.getElementById(`select2-${target.id}-results`);
    const search = document.querySelector('.select2-dropdown [role="searchbox"]');
    [results, search].forEach((part) => part?.setAttribute("aria-labelledby", labelOf(target).id));
    fieldOf(target).setAttribute("aria-controls", results.id);
  });
})(django.jQuery);
