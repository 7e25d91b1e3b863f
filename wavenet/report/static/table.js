// The genre × checkpoint table. Rows, and the checkpoints between first and last, are built when they are looked at.

const ROWS_AT_ONCE = 20;
const CHECKPOINTS_AT_ONCE = 12;
const number = new Intl.NumberFormat("en");

function readTable() {
  const table = JSON.parse(document.getElementById("table-data").textContent);
  // With scripts on, the content of <noscript> is text; its links are in the order of the clips.
  const list = document.querySelector("#listen noscript")?.textContent ?? "";
  const links = new DOMParser().parseFromString(list, "text/html").querySelectorAll("a");
  table.pairs = new Map();
  table.clips.forEach((values, index) => {
    const [row, step, clipNumber, isContinuation, join, seconds, computeSeconds, stream, settings, source, place, wav] = values;
    const key = `${row}/${step}`;
    if (!table.pairs.has(key)) table.pairs.set(key, []);
    table.pairs.get(key).push({
      number: clipNumber, isContinuation, join, seconds, computeSeconds, stream, settings, source, place,
      file: decodeURIComponent(links[index].getAttribute("href").slice("audio/".length)), wav,
    });
  });
  return table;
}

function pair(table, row, step, isHeadingHidden) {
  const title = `${table.classes[row][0]}, step ${number.format(table.steps[step])}`;
  const clips = table.pairs.get(`${row}/${step}`) ?? [];
  const heading = element("span", { class: isHeadingHidden ? "step in-cell" : "step" }, `Step ${number.format(table.steps[step])}`);
  if (!clips.length) return [heading, element("p", { class: "absent" }, "Not generated yet")];
  const first = clips.filter((clip) => clip.number === 0);
  const further = clips.filter((clip) => clip.number > 0);
  const parts = [heading, ...first.map((clip) => player(table, clip, title))];
  if (further.length) {
    const box = element("div");
    const words = `${number.format(further.length)} more ${further.length === 1 ? "clip" : "clips"}`;
    parts.push(unfolding(words, `${words} of ${title}`, box, () => further.map((clip) => player(table, clip, title))), box);
  }
  return parts;
}

let unfoldings = 0;

/** A button that shows and hides `box`, whose content is built at the first opening. */
function unfolding(words, label, box, build) {
  box.id = `unfolded-${++unfoldings}`;
  box.hidden = true;
  const button = element("button", { type: "button", class: "unfold", "aria-expanded": "false", "aria-controls": box.id,
    "aria-label": `Show ${label}` }, `Show ${words}`);
  button.addEventListener("click", () => {
    if (build) { (box.querySelector(".grid") ?? box).append(...build()); build = null; }
    box.hidden = !box.hidden;
    const verb = box.hidden ? "Show" : "Hide";
    button.setAttribute("aria-expanded", String(!box.hidden));
    button.setAttribute("aria-label", `${verb} ${label}`);
    button.textContent = `${verb} ${words}`;
  });
  return button;
}

/** The cells of the checkpoints from `from` to before the last one, a dozen at a time. */
function between(table, row, from) {
  const last = table.steps.length - 1;
  const stop = Math.min(from + CHECKPOINTS_AT_ONCE, last);
  const cells = [];
  for (let step = from; step < stop; step++) cells.push(element("div", { class: "pair" }, ...pair(table, row, step, false)));
  if (stop < last) {
    const more = element("button", { type: "button" }, `Show more (${number.format(last - stop)} left)`);
    more.addEventListener("click", () => {
      const next = between(table, row, stop);
      more.replaceWith(...next);
      next[0].querySelector("button")?.focus();
    });
    cells.push(more);
  }
  return cells;
}

function classRow(table, row) {
  const [name, hours, recordings] = table.classes[row];
  const last = table.steps.length - 1;
  const header = element("th", { scope: "row", role: "rowheader" }, element("span", { class: "genre" }, name),
    element("span", { class: "hours" }, hours ? `${audioHours(hours)} for training` : "hours not known"),
    element("span", { class: "hours" }, `${number.format(recordings)} recording${recordings === 1 ? "" : "s"}`));
  const tr = element("tr", { role: "row" }, header, element("td", { role: "cell" }, ...pair(table, row, 0, true)));
  if (last > 0) tr.append(element("td", { role: "cell" }, ...pair(table, row, last, true)));
  if (last < 2) return [tr];
  const cell = element("td", { role: "cell", colspan: 3 }, element("div", { class: "grid" }));
  const unfolded = element("tr", { role: "row", class: "between" }, cell);
  const words = `${number.format(last - 1)} between`;
  header.append(unfolding(words, `${words} first and last checkpoint, ${name}`, unfolded, () => between(table, row, 1)));
  return [tr, unfolded];
}

function audioHours(hours) {
  if (hours * 60 < 1) return `${Math.round(hours * 3600)} s`;
  return hours < 1 ? `${Number((hours * 60).toPrecision(3))} min` : `${number.format(Number(hours.toFixed(1)))} h`;
}

function tableHead(table) {
  const column = (words, step) => element("th", { scope: "col", role: "columnheader" }, `${words}, `, element("b", {}, `step ${number.format(step)}`));
  const head = element("tr", { role: "row" }, element("th", { scope: "col", role: "columnheader" }, "Genre"));
  const isSingle = table.steps.length === 1;
  head.append(column(isSingle ? "The only checkpoint" : "First checkpoint", table.steps[0]));
  if (!isSingle) head.append(column("Last checkpoint", table.steps.at(-1)));
  return element("thead", { role: "rowgroup" }, head);
}

function buildTable(table) {
  const node = document.getElementById("samples");
  const body = element("tbody", { role: "rowgroup" });
  node.classList.toggle("single", table.steps.length === 1);
  node.append(tableHead(table), body);
  const all = table.classes.map((_, row) => row);
  const more = document.getElementById("more-rows");
  const found = document.getElementById("found");
  let rows = all;
  let shown = 0;
  const showMore = () => {
    const next = rows.slice(shown, shown + ROWS_AT_ONCE);
    body.append(...next.flatMap((row) => classRow(table, row)));
    shown += next.length;
    more.hidden = shown === rows.length;
    more.textContent = `Show ${Math.min(ROWS_AT_ONCE, rows.length - shown)} more of ${number.format(rows.length)} genres`;
    return next.length;
  };
  more.addEventListener("click", () => {
    const first = body.children.length;
    showMore();
    body.children[first].querySelector("button").focus();
  });
  const find = document.getElementById("find");
  find.addEventListener("input", () => {
    const wanted = find.value.trim().toLowerCase();
    rows = all.filter((row) => table.classes[row][0].toLowerCase().includes(wanted));
    found.textContent = wanted ? `${number.format(rows.length)} of ${number.format(all.length)}` : "";
    body.replaceChildren();
    shown = 0;
    showMore();
  });
  document.getElementById("table-tools").hidden = all.length <= ROWS_AT_ONCE;
  showMore();
}
