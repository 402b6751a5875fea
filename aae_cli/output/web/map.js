"use strict";
// The page's data are JSON in an element that is never parsed as markup; all text reaches the page by textContent.
const DATA = JSON.parse(document.getElementById("data").textContent);
const PALETTE = ["#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf"];
const MOST_NAMES = 40, MOST_LETTERS = 32; // in the legend
const UNNAMED = "#d0d0d0";

const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer;
const floats = (text) => new Float32Array(bytes(text));
const codes = (text) => new Int32Array(bytes(text));
const at = (id) => document.getElementById(id);

const x = floats(DATA.x), y = floats(DATA.y), count = x.length;
const columns = DATA.columns.map((column) => ({
  name: column.name,
  levels: column.levels,
  values: column.levels ? codes(column.values) : floats(column.values),
}));
let selected = [];

const short = (text) => (text.length > MOST_LETTERS ? `${Array.from(text).slice(0, MOST_LETTERS - 1).join("")}…` : text);
// Plotly reads a little markup in names: with & and < replaced, none is left.
const plain = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

function colourOf(place, total) {
  return total <= PALETTE.length ? PALETTE[place] : `hsl(${Math.round((360 * place) / total)}, 65%, 48%)`;
}

function cell(column, row) {
  const value = column.values[row];
  if (column.levels) return value < 0 ? "" : column.levels[value];
  return Number.isNaN(value) ? "" : String(Number.isInteger(value) ? value : Number(value.toPrecision(7)));
}

function trace(rows, name, marker) {
  return {
    type: "scattergl", mode: "markers", name, customdata: rows, hoverinfo: "none",
    x: rows.map((row) => x[row]), y: rows.map((row) => y[row]),
    marker: { size: Math.min(9, Math.max(3, 300 / Math.sqrt(count))), ...marker },
    unselected: { marker: { opacity: 0.15 } },
  };
}

function tracesOf(column) {
  const every = Array.from({ length: count }, (_, row) => row);
  if (!column) return [trace(every, "rows", { color: PALETTE[0] })];
  if (!column.levels) {
    const colour = every.map((row) => column.values[row]);
    const bar = { thickness: 12, title: { text: plain(column.name), side: "right" } };
    return [{ ...trace(every, plain(column.name), { color: colour, colorscale: "Viridis", showscale: true, colorbar: bar }), showlegend: false }];
  }
  const groups = new Map();
  for (const row of every) {
    const level = column.values[row] < MOST_NAMES ? column.values[row] : MOST_NAMES;
    if (!groups.has(level)) groups.set(level, []);
    groups.get(level).push(row);
  }
  const total = Math.min(column.levels.length, MOST_NAMES + 1);
  const order = [...groups.keys()].sort((a, b) => (a < 0) - (b < 0) || a - b);
  return order.map((level) => {
    const name = level < 0 ? "none" : level === MOST_NAMES ? "others" : column.levels[level];
    return trace(groups.get(level), plain(short(name)), { color: level < 0 ? UNNAMED : colourOf(level, total) });
  });
}

function headsTrace() {
  return {
    type: "scattergl", mode: "markers+text", name: "cluster heads", hoverinfo: "none", customdata: [],
    x: DATA.heads.map((head) => head[0]), y: DATA.heads.map((head) => head[1]),
    text: DATA.heads.map((_, place) => String(place)), textposition: "top right", textfont: { size: 15, color: "black" },
    marker: { symbol: "x", size: 9, color: "black" },
  };
}

function draw(chosen) {
  const traces = tracesOf(columns[chosen]);
  if (DATA.heads.length) traces.push(headsTrace());
  const layout = {
    margin: { l: 40, r: 10, t: 34, b: 30 }, dragmode: at("map").layout?.dragmode ?? "pan", hovermode: "closest",
    xaxis: { zeroline: false }, yaxis: { zeroline: false, scaleanchor: "x" }, legend: { itemsizing: "constant", uirevision: chosen }, uirevision: "kept",
  };
  const tools = ["select2d", "lasso2d"];
  const config = { scrollZoom: true, responsive: true, displaylogo: false, modeBarButtonsToAdd: tools, displayModeBar: true };
  return Plotly.react("map", traces, layout, config);
}

function show(row) {
  const list = at("row");
  list.replaceChildren();
  const fields = [["id", DATA.ids[row]], ...columns.map((column) => [column.name, cell(column, row)])];
  for (const [name, value] of fields) {
    const term = document.createElement("dt"), told = document.createElement("dd");
    term.textContent = name;
    told.textContent = value;
    list.append(term, told);
  }
  thumbnail(row);
}

const sheets = DATA.images ? DATA.images.sheets.map((source) => Object.assign(new Image(), { src: source })) : [];

function thumbnail(row) {
  if (!DATA.images) return;
  const { width, height, across, each } = DATA.images, canvas = at("image");
  const sheet = sheets[Math.floor(row / each)], place = row % each, scale = Math.max(1, Math.floor(168 / Math.max(width, height)));
  const paint = () => {
    canvas.width = width; canvas.height = height; canvas.hidden = false;
    canvas.style.width = `${width * scale}px`;
    canvas.dataset.row = row;
    canvas.getContext("2d").drawImage(sheet, (place % across) * width, Math.floor(place / across) * height, width, height, 0, 0, width, height);
  };
  if (sheet.complete) paint(); else sheet.addEventListener("load", paint, { once: true });
}

// Beside the pointer: the id, and the value that colours the row.
function bubble(row, pointer) {
  const place = at("bubble"), column = columns[Number(at("colour").value)], value = column ? cell(column, row) : "";
  place.textContent = DATA.ids[row] + (value ? ` – ${column.name}: ${value}` : "");
  place.hidden = false;
  place.style.left = `${pointer.clientX + 12}px`;
  place.style.top = `${pointer.clientY + 12}px`;
}

function select(rows) {
  selected = rows;
  at("selection").textContent = rows.length ? `${rows.length} rows selected` : "";
  at("copy").disabled = at("download").disabled = !rows.length;
}

function quoted(text) {
  return /[",\n\r]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
}

function table() {
  const names = ["id", ...columns.map((column) => column.name)];
  const lines = selected.map((row) => [DATA.ids[row], ...columns.map((column) => cell(column, row))]);
  return [names, ...lines].map((line) => line.map(quoted).join(",")).join("\n") + "\n";
}

async function copy() {
  const text = selected.map((row) => DATA.ids[row]).join("\n");
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = Object.assign(document.createElement("textarea"), { value: text });
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  at("selection").textContent = `${selected.length} ids copied`;
}

function download() {
  const link = Object.assign(document.createElement("a"), { download: "selected.csv" });
  link.href = URL.createObjectURL(new Blob([table()], { type: "text/csv" }));
  link.click();
  URL.revokeObjectURL(link.href);
}

function search(text) {
  const exact = DATA.ids.indexOf(text), row = exact >= 0 ? exact : DATA.ids.findIndex((id) => text && id.includes(text));
  at("found").textContent = text && row < 0 ? "no such id" : "";
  if (!text || row < 0) return Plotly.relayout("map", { shapes: [] });
  show(row);
  const ring = { type: "circle", xsizemode: "pixel", ysizemode: "pixel", xanchor: x[row], yanchor: y[row], x0: -9, x1: 9, y0: -9, y1: 9 };
  return Plotly.relayout("map", { shapes: [{ ...ring, line: { color: "black", width: 2 } }] });
}

function panels() {
  for (const panel of DATA.panels) {
    const whole = document.createElement("table"), caption = whole.createCaption();
    caption.textContent = panel.title;
    if (panel.picture) whole.insertRow().insertCell().append(Object.assign(new Image(), { src: panel.picture, className: "strip" }));
    else [panel.header, ...panel.rows].forEach((line, place) => {
      const row = whole.insertRow();
      for (const text of line) row.append(Object.assign(document.createElement(place ? "td" : "th"), { textContent: text }));
    });
    at("panels").append(whole);
  }
}

at("note").textContent = DATA.note;
at("title").textContent = document.title = DATA.title;
columns.forEach((column, value) => at("colour").append(Object.assign(document.createElement("option"), { value, textContent: column.name })));
at("colour").addEventListener("change", (event) => draw(Number(event.target.value)));
at("search").addEventListener("input", (event) => search(event.target.value));
at("copy").addEventListener("click", copy);
at("download").addEventListener("click", download);
at("image").hidden = true;
panels();
draw(0).then((map) => {
  const rowsOf = (event) => event.points.map((point) => point.customdata).filter((row) => row !== undefined);
  map.on("plotly_hover", (event) => rowsOf(event).slice(0, 1).forEach((row) => (show(row), bubble(row, event.event))));
  map.on("plotly_unhover", () => (at("bubble").hidden = true));
  map.on("plotly_selected", (event) => select(event ? rowsOf(event) : []));
  map.on("plotly_deselect", () => select([]));
  document.body.dataset.ready = "yes";
});
