// What is said of a spectrum beside its drawing, kept to what is drawn: its highest line, and the table of markers and peaks.

import { digits } from "./parts.js";

const BESIDE = 2; // lines on either side that a marker's peak is looked for in
const MOST = 6; // peaks that no marker explains

/** @param spec {value, dx_hz, unit, markers: [{name, hz, low, high}], words: {summary, marked, amplitude}} */
export function describe(figure, { value, dx_hz: dx, unit, markers, words }) {
  const highest = highestOf(value, 1, value.length - 1);
  const said = words.summary.replace("{amplitude}", `${digits(value[highest])}\u00a0${unit}`).replace("{frequency}", `${digits(highest * dx)}\u00a0Hz`).concat(words.marked && ` ${words.marked}`);
  const caption = figure.querySelector("figcaption > p");
  const plot = figure.querySelector(".plot");
  plot.ariaLabel = plot.ariaLabel.replace(caption.textContent, said);
  caption.textContent = said;
  const table = figure.querySelector(`#${figure.id}-numbers table`);
  table.tHead.rows[0].cells[2].textContent = words.amplitude.replace("{unit}", unit);
  table.tBodies[0].replaceChildren(...rowsOf(value, dx, markers).map(row));
}

function rowsOf(value, dx, markers) {
  const explained = new Set();
  const marked = markers.map(({ name, hz, low = hz, high = hz }) => {
    const from = Math.max(0, Math.min(Math.round(hz / dx) - BESIDE, Math.floor(low / dx)));
    const to = Math.min(value.length - 1, Math.max(Math.round(hz / dx) + BESIDE, Math.ceil(high / dx)));
    for (let line = from; line <= to; line += 1) explained.add(line);
    return [name, digits(hz), digits(value[highestOf(value, from, to)])];
  });
  const peaks = [];
  for (let line = 1; line < value.length - 1; line += 1) {
    if (value[line - 1] < value[line] && value[line] >= value[line + 1] && !explained.has(line)) peaks.push(line);
  }
  const highest = peaks.sort((a, b) => value[b] - value[a]).slice(0, MOST);
  return [...marked, ...highest.map((line) => ["", digits(line * dx), digits(value[line])])];
}

function highestOf(value, from, to) {
  let best = from;
  for (let line = from; line <= to; line += 1) if (value[line] > value[best]) best = line;
  return best;
}

function row(cells) {
  const line = document.createElement("tr");
  cells.forEach((text, place) => {
    const cell = line.insertCell();
    cell.textContent = text;
    if (place) cell.className = "number";
  });
  return line;
}
