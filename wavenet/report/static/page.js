// Start: build what is looked at first, and the table of every pair's time when it is opened.

function timesTable(table) {
  const head = element("tr", {}, element("th", { scope: "col" }, "Genre"));
  for (const step of table.steps) head.append(element("th", { scope: "col", class: "number" }, number.format(step)));
  const body = element("tbody");
  table.classes.forEach(([name], row) => {
    const tr = element("tr", {}, element("th", { scope: "row" }, name));
    table.steps.forEach((_, step) => {
      const clips = table.pairs.get(`${row}/${step}`);
      const seconds = clips?.reduce((sum, clip) => sum + clip.computeSeconds, 0);
      tr.append(element("td", { class: "number" }, clips ? spoken(seconds) : "–"));
    });
    body.append(tr);
  });
  return element("table", { class: "plain-table" }, element("thead", {}, head), body);
}

const table = readTable();
if (table.clips.length) {
  buildTable(table);
  const every = document.getElementById("every-pair");
  every.addEventListener("toggle", () => every.querySelector(".scroll").append(timesTable(table)), { once: true });
}
