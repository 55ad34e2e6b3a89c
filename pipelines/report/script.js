"use strict";
for (const button of document.querySelectorAll("th > button")) {
  button.addEventListener("click", () => {
    const head = button.parentElement, row = head.parentElement, body = head.closest("table").tBodies[0];
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const other of row.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const place = head.cellIndex, sign = down ? -1 : 1;
    const value = (line) => line.cells[place].dataset.value ?? line.cells[place].textContent.trim();
    const compare = (a, b) => {
      if (a === "" || b === "") return (a === "") - (b === "");
      const gap = Number(a) - Number(b);
      return sign * (Number.isNaN(gap) ? a.localeCompare(b, "en", { numeric: true }) : gap);
    };
    body.append(...[...body.rows].sort((a, b) => compare(value(a), value(b))));
  });
}
for (const event of ["beforeprint", "afterprint"]) {
  addEventListener(event, () => {
    for (const box of document.querySelectorAll("details")) box.open = event === "beforeprint";
  });
}
