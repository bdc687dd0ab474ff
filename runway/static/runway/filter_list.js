// A search field that hides the children of a list that do not contain its words. Without this
// script there is no search, and all children are visible.
document.querySelectorAll("[data-filter-list]").forEach((field) => {
  const items = [...document.getElementById(field.dataset.filterList).children];
  const row = field.closest("[hidden]");
  const status = row.querySelector('[role="status"]');
  row.hidden = false;
  const filter = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    items.forEach((item) => {
      const text = item.textContent.toLowerCase();
      item.hidden = !words.every((word) => text.includes(word));
    });
    const shown = items.filter((item) => !item.hidden).length;
    status.textContent = words.length ? `${shown} of ${items.length}` : "";
  };
  field.addEventListener("input", filter);
  // Enter would submit what is ticked, which no one means who searches.
  field.addEventListener("keydown", (event) => { if (event.key === "Enter") { event.preventDefault(); } });
  filter();
});
