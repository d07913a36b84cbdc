// The block of samples that made a finding: fetched as far as it is looked at, its lowest and highest kept.

import { digits, lengthAxis, valueAxis } from "./parts.js";

const WAIT_MS = 200;
const ROWS = 24;

/** @param spec {block: {from_s, step_s, each, low, high, unit, seconds}, at_s} */
export function waveformOption(spec, colour, width, view) {
  const { block } = spec;
  const seconds = block?.seconds ?? 1;
  const [from, to] = view ?? [0, seconds];
  const line = { type: "line", showSymbol: false, silent: true, lineStyle: { width: 1, color: colour.ink }, itemStyle: { color: colour.ink } };
  return {
    grid: { outerBoundsMode: "none", left: 52, right: 20, top: 30, bottom: 44 },
    tooltip: { show: false },
    dataZoom: [{ type: "inside", zoomOnMouseWheel: "ctrl", moveOnMouseMove: true, moveOnMouseWheel: false, filterMode: "none", startValue: from, endValue: to }],
    xAxis: lengthAxis(colour, {
      type: "value",
      name: "s",
      nameLocation: "middle",
      nameGap: 26,
      nameTextStyle: { color: colour.soft },
      min: 0,
      max: seconds,
      axisLabel: { color: colour.soft, hideOverlap: true, showMaxLabel: false, formatter: digits },
      splitNumber: width < 500 ? 4 : 8,
    }),
    yAxis: valueAxis(colour, block?.unit ?? "", { splitNumber: 4, scale: true }),
    series: [
      {
        ...line,
        data: block ? points(block) : [],
        markLine: { silent: true, symbol: "none", data: spec.at_s === null ? [] : [{ xAxis: spec.at_s, label: { show: false }, lineStyle: { color: colour.critical, type: "solid", width: 1.5 } }] },
      },
    ],
  };
}

// Of each stretch the lowest, then the highest: the drawn line covers all that lies between.
function points({ from_s: from, step_s: step, each, low, high }) {
  if (each === 1) return low.map((value, place) => [from + place * step, value]);
  return low.flatMap((value, place) => [
    [from + place * step, value],
    [from + (place + 0.5) * step, high[place]],
  ]);
}

/** What is fetched of a block, its cursor by mouse and keys, and its table. */
export function waveformTools(figure, { chart, again, look, view }) {
  const plot = figure.querySelector(".plot");
  const said = figure.querySelector(".reading");
  const held = { block: null, asked: false, at: null };
  let given = null;
  let due = 0;

  const ask = async () => {
    held.asked = true;
    const [from, to] = view() ?? [0, null];
    const part = new URLSearchParams({ points: String(2 * Math.max(300, Math.round(chart.getWidth()))) });
    if (to !== null) {
      part.set("from", String(Math.max(0, from - (to - from) / 2)));
      part.set("to", String(to + (to - from) / 2));
    }
    const answer = await fetch(`${given.address}?${part}`).catch(() => null);
    if (!answer?.ok) {
      if (!held.block) say(given.words.gone);
      return;
    }
    held.block = await answer.json();
    if (held.at === null) say(about(held.block, given));
    fill(figure.querySelector("details tbody"), held.block);
    again();
  };
  const say = (text) => {
    said.textContent = text;
    plot.setAttribute("aria-valuetext", text);
  };
  const point = (seconds) => {
    const { block } = held;
    if (!block) return;
    held.at = Math.max(0, Math.min(block.seconds, seconds));
    const place = Math.max(0, Math.min(block.low.length - 1, Math.round((held.at - block.from_s) / block.step_s)));
    const value = block.each === 1 ? digits(block.low[place]) : `${digits(block.low[place])} … ${digits(block.high[place])}`;
    say(`${held.at.toFixed(5)} s · ${value} ${block.unit}`);
    plot.setAttribute("aria-valuenow", held.at.toFixed(5));
    again();
  };
  const seen = () => view() ?? [0, held.block?.seconds ?? 1];
  const zoom = (factor) => {
    const [from, to] = seen();
    const middle = held.at ?? (from + to) / 2;
    const span = Math.min(held.block.seconds, Math.max(16 / held.block.rate_hz, (to - from) * factor));
    const start = Math.max(0, Math.min(middle - span / 2, held.block.seconds - span));
    look([start, start + span]);
    later();
  };
  const later = () => {
    clearTimeout(due);
    due = setTimeout(ask, WAIT_MS);
  };
  const step = (way, far) => {
    const [from, to] = seen();
    point((held.at ?? (from + to) / 2) + way * (far ? (to - from) / 20 : Math.max(held.block.step_s, (to - from) / 400)));
  };
  plot.addEventListener("keydown", (event) => {
    const keys = { ArrowLeft: () => step(-1, event.shiftKey), ArrowRight: () => step(1, event.shiftKey), "+": () => zoom(0.5), "=": () => zoom(0.5), "-": () => zoom(2) };
    if (!keys[event.key] || !held.block || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    keys[event.key]();
  });
  chart.getZr().on("click", ({ offsetX }) => point(chart.convertFromPixel({ xAxisIndex: 0 }, offsetX)));
  return {
    of(spec) {
      given = spec;
      if (!spec.address) say(spec.words.gone);
      else if (!held.asked) ask();
      return { ...spec, block: held.block, at_s: held.at };
    },
    zoomed: later,
  };
}

function about(block, { words, shift_ms: shift, offset }) {
  const text = block.speed_hz ? words.summary_speed : words.summary;
  const at = new Date(Date.parse(block.at) + shift).toISOString().slice(0, 23).replace("T", " ");
  const values = { at: `${at} ${offset}`, point: block.point, samples: block.samples, rate: digits(block.rate_hz), seconds: digits(block.seconds), speed: digits(block.speed_hz) };
  return text.replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

function fill(body, { from_s: from, step_s: step, low, high }) {
  const count = Math.min(ROWS, low.length);
  body.replaceChildren(
    ...Array.from({ length: count }, (_, row) => {
      const place = Math.round((row * (low.length - 1)) / Math.max(1, count - 1));
      const line = document.createElement("tr");
      for (const text of [(from + place * step).toFixed(4), digits(low[place]), digits(high[place])]) line.insertCell().textContent = text;
      return line;
    }),
  );
}
