"use strict";
// Filters the list as one types; the words of each package stand in its row, so nothing is fetched.
(() => {
  const input = document.getElementById("search");
  if (!input) return;
  const rows = [...document.querySelectorAll("#packages > tr")];
  const count = document.getElementById("count");
  const none = document.getElementById("none");

  const filter = () => {
    const terms = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const fits = terms.every((term) => row.dataset.words.includes(term));
      row.hidden = !fits;
      shown += fits ? 1 : 0;
    }
    count.textContent = `${shown} of ${rows.length}`;
    none.hidden = shown > 0 || rows.length === 0;
  };

  input.closest("p").hidden = rows.length === 0;
  input.value = decodeURIComponent(location.hash.slice(1));
  input.addEventListener("input", () => {
    filter();
    // So that a search can be sent to somebody, and comes back with the back button.
    history.replaceState(null, "", input.value ? `#${encodeURIComponent(input.value)}` : location.pathname);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && document.activeElement !== input) {
      event.preventDefault();
      input.focus();
    } else if (event.key === "Escape" && document.activeElement === input) {
      input.value = "";
      filter();
    }
  });
  filter();
})();
