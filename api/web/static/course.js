// The course: trends and lanes of events on one axis of time, with one zoom and one cursor for all of them.

import { digits, lengthAxis } from "./parts.js";
import { TIMES, trendOption } from "./trend.js";

const FIRST = 236; // px of the first panel with its axis, of the others, and of a lane
const NEXT = 150;
const LANE = 20; // px of a lane's name, and of each row of bars under it
const ROW = 16;
const MOST_ROWS = 4;
const FOOT = 34;
const RIGHT = 34;
const LEFT = 52;
const HOUR = 3_600_000;
const WAIT_MS = 250; // after a zoom, before what is finer is asked for
const NEAR = 0.06; // of the axis: marks so near to each other are named together

/**
 * @param spec {panels: [as a trend, with low and high], lanes: [{name, key, spans, marks}], marks, from_ms, until_ms, at_ms}
 * @param view [from, to] in ms of the axis, or null for all
 */
export function courseOption(spec, colour, width, view) {
  const [from, to] = view ?? [spec.from_ms, spec.until_ms];
  const last = spec.panels.length + (spec.lanes.length ? 1 : 0) - 1;
  const stack = { top: 0, grid: [], xAxis: [], yAxis: [], series: [] };
  const marks = named(spec.marks, [from, to]);
  spec.panels.forEach((panel, index) => addPanel(stack, spec, panel, index, { colour, width, last: index === last, marks }));
  if (spec.lanes.length) addLanes(stack, spec, { colour, width, view: [from, to] });
  return {
    ...stack,
    height: stack.top + FOOT,
    useUTC: true,
    axisPointer: { link: [{ xAxisIndex: "all" }] },
    tooltip: { show: false },
    dataZoom: [
      {
        type: "inside",
        xAxisIndex: stack.xAxis.map((_, index) => index),
        zoomOnMouseWheel: "ctrl",
        moveOnMouseMove: true,
        moveOnMouseWheel: false,
        preventDefaultMouseMove: false,
        filterMode: "none",
        minValueSpan: 60_000,
        startValue: from,
        endValue: to,
      },
    ],
  };
}

function addPanel(stack, spec, panel, index, { colour, width, last, marks }) {
  const height = index === 0 ? FIRST : NEXT;
  const shown = index === 0 ? marks : marks.map((one) => ({ ...one, name: "" }));
  const shape = trendOption({ ...panel, marks: shown }, colour, width);
  const title = { name: `${panel.name}${panel.unit ? `, ${panel.unit}` : ""}`, nameTextStyle: { color: colour.ink, align: "left", fontWeight: 600, padding: [0, 0, 0, -44] } };
  stack.grid.push({ outerBoundsMode: "none", left: LEFT, right: RIGHT, top: stack.top + 40, height: height - 48 });
  stack.xAxis.push(axisOf(spec, colour, { gridIndex: index, width, labels: last }));
  stack.yAxis.push({ ...shape.yAxis, ...title, gridIndex: index });
  const here = { xAxisIndex: index, yAxisIndex: index };
  stack.series.push(...shape.series.map((one) => ({ ...one, ...here })), ...band(panel, colour, here));
  cursor(stack, spec, colour, here);
  stack.top += height;
}

// The lowest and the highest of each stretch as a surface behind the line.
function band(panel, colour, here) {
  if (!panel.low) return [];
  const bare = { type: "line", symbol: "none", silent: true, stack: `band ${here.xAxisIndex}`, stackStrategy: "all", z: 1, lineStyle: { opacity: 0 }, ...here };
  return [
    { ...bare, data: panel.at_ms.map((at, i) => [at, panel.low[i]]) },
    {
      ...bare,
      areaStyle: { color: colour.ink, opacity: 0.16 },
      data: panel.at_ms.map((at, i) => [at, panel.low[i] === null ? null : panel.high[i] - panel.low[i]]),
    },
  ];
}

function axisOf(spec, colour, { gridIndex, width, labels }) {
  return lengthAxis(colour, {
    type: "time",
    gridIndex,
    min: spec.from_ms,
    max: spec.until_ms,
    splitNumber: width < 500 ? 3 : 7,
    axisLabel: { show: labels, color: colour.soft, hideOverlap: true, formatter: TIMES },
    axisTick: { show: labels, lineStyle: { color: colour.edge } },
    axisPointer: { show: true, type: "line", lineStyle: { color: colour.edge, type: "dashed" }, label: { show: false } },
  });
}

function addLanes(stack, spec, { colour, width, view }) {
  const index = stack.xAxis.length;
  const lanes = laid(spec.lanes);
  const height = lanes.reduce((sum, lane) => sum + lane.height, 0);
  const names = Object.fromEntries(lanes.map((lane) => [lane.top, lane.name]));
  stack.grid.push({ outerBoundsMode: "none", left: LEFT, right: RIGHT, top: stack.top + 6, height });
  stack.xAxis.push(axisOf(spec, colour, { gridIndex: index, width, labels: true }));
  stack.yAxis.push({
    type: "value",
    gridIndex: index,
    inverse: true,
    min: 0,
    max: height,
    axisLine: { show: false },
    axisTick: { show: false },
    splitLine: { show: false },
    axisLabel: {
      customValues: Object.keys(names).map(Number),
      inside: true,
      align: "left",
      verticalAlign: "top",
      margin: -4,
      padding: [3, 0, 0, -LEFT + 4],
      color: colour.soft,
      fontSize: 11,
      formatter: (top) => names[top] ?? "",
    },
  });
  const here = { xAxisIndex: index, yAxisIndex: index };
  const room = (span) => ((Math.min(span.to_ms, view[1]) - Math.max(span.from_ms, view[0])) / (view[1] - view[0])) * (width - LEFT - RIGHT);
  const areas = lanes.flatMap((lane) => lane.spans.map((span) => bar(span, room(span), colour)));
  const dots = lanes.flatMap((lane) => lane.marks.map((mark) => [mark.at_ms, lane.top + LANE + ROW / 2 - 3]));
  const borders = lanes.slice(1).map((lane) => ({ yAxis: lane.top, label: { show: false }, lineStyle: { color: colour.line, type: "solid", width: 1 } }));
  stack.series.push(
    { type: "line", data: [], silent: true, markArea: { silent: true, data: areas }, markLine: { silent: true, symbol: "none", data: [...borders, ...moments(spec, colour)] }, ...here },
    { type: "scatter", data: dots, silent: true, symbol: "diamond", symbolSize: 11, itemStyle: { color: colour.accent, borderColor: colour.surface, borderWidth: 1 }, ...here },
  );
  cursor(stack, spec, colour, here);
  stack.top += height + 6;
}

// Each lane with its place in px; what stands at the same time stands in rows under each other.
function laid(lanes) {
  let top = 0;
  return lanes.map((lane) => {
    const ends = [];
    const spans = lane.spans.map((span) => {
      const free = ends.findIndex((end) => end <= span.from_ms);
      const row = free >= 0 ? free : Math.min(ends.length, MOST_ROWS - 1);
      ends[row] = Math.max(ends[row] ?? 0, span.to_ms);
      return { ...span, y: top + LANE - 3 + row * ROW };
    });
    const height = LANE + Math.max(1, ends.length) * ROW + 2;
    const placed = { ...lane, spans, top, height };
    top += height;
    return placed;
  });
}

// Colour never alone: what is bad is framed thickly, a gap with dashes, running is pale.
function bar(span, room, colour) {
  const looks = {
    runs: { color: colour.goodSoft, borderColor: colour.good, borderWidth: 0.5 },
    waits: { color: colour.sunken, borderColor: colour.edge, borderWidth: 0.5 },
    bad: { color: colour.criticalSoft, borderColor: colour.critical, borderWidth: 1.5 },
    found: { color: colour.accentSoft, borderColor: colour.accent, borderWidth: 1 },
    gap: { color: colour.surface, borderColor: colour.ink, borderWidth: 1, borderType: "dashed" },
    kept: { color: colour.highSoft, borderColor: colour.high, borderWidth: 1 },
  };
  const label = { show: room > 34, formatter: span.text, position: "inside", width: Math.max(0, room - 8), overflow: "truncate", color: colour.ink, fontSize: 11 };
  return [
    { coord: [span.from_ms, span.y], itemStyle: looks[span.look], label },
    { coord: [Math.max(span.to_ms, span.from_ms + 1), span.y + ROW - 2] },
  ];
}

const moments = (spec, colour) =>
  spec.marks.map((mark) => ({ xAxis: mark.at_ms, label: { show: false }, lineStyle: { color: colour.accent, type: "solid", width: 1.25, opacity: 0.7 } }));

// Marks that would be written over each other are named together, at the first of them.
function named(marks, [from, to]) {
  const told = [];
  for (const mark of [...marks].sort((a, b) => a.at_ms - b.at_ms)) {
    const last = told.at(-1);
    if (last && mark.at_ms - last.at_ms < NEAR * (to - from)) last.name += ` · ${mark.name}`;
    else told.push({ ...mark });
  }
  return told;
}

function cursor(stack, spec, colour, here) {
  if (spec.at_ms === null || spec.at_ms === undefined) return;
  stack.series.push({
    type: "line",
    data: [],
    silent: true,
    markLine: { silent: true, symbol: "none", z: 6, data: [{ xAxis: spec.at_ms, label: { show: false }, lineStyle: { color: colour.ink, type: "solid", width: 1.5 } }] },
    ...here,
  });
}

/** The cursor, the buttons and the keys of a course; what is looked at closely is fetched finer. */
export function courseTools(figure, { chart, again, look, view }) {
  const plot = figure.querySelector(".plot");
  const said = figure.querySelector(".reading");
  let given = null;
  let finer = null;
  let at = null;
  let asked = 0;
  const whole = () => [given.from_ms, given.until_ms];
  const seen = () => view() ?? whole();

  const show = (from, to) => {
    const [first, last] = whole();
    const span = Math.max(60_000, Math.min(to - from, last - first));
    const start = Math.max(first, Math.min(from, last - span));
    look(span >= last - first ? null : [start, start + span]);
    fetchFiner();
  };
  const around = (span) => {
    const middle = at ?? given.marks.at(-1)?.at_ms ?? given.until_ms;
    show(middle - span / 2, middle + span / 2);
  };
  const point = (ms) => {
    const [from, to] = seen();
    at = Math.max(from, Math.min(to, ms));
    const text = reading(finer ?? given, at);
    said.textContent = text;
    plot.setAttribute("aria-valuenow", String(Math.round(at)));
    plot.setAttribute("aria-valuetext", text);
  };
  const step = (way, far) => {
    const [from, to] = seen();
    const next = far ? nextEvent(given, at ?? (way > 0 ? from : to), way) : (at ?? (from + to) / 2) + (way * (to - from)) / 100;
    if (next === null) return;
    if (next < from || next > to) show(next - (to - from) / 2, next + (to - from) / 2);
    point(next);
    again();
  };
  const does = {
    earlier: () => show(seen()[0] - (seen()[1] - seen()[0]) / 2, seen()[1] - (seen()[1] - seen()[0]) / 2),
    later: () => show(seen()[0] + (seen()[1] - seen()[0]) / 2, seen()[1] + (seen()[1] - seen()[0]) / 2),
    closer: () => around((seen()[1] - seen()[0]) / 2),
    wider: () => around((seen()[1] - seen()[0]) * 2),
    hour: () => around(HOUR),
    day: () => around(24 * HOUR),
    whole: () => show(...whole()),
  };
  const fetchFiner = () => {
    clearTimeout(asked);
    asked = setTimeout(async () => {
      const [from, to] = seen().map(Math.round);
      if (!view()) {
        finer = null;
        again();
        return;
      }
      const margin = Math.round((to - from) / 2);
      const part = { from_ms: given.from_ms, until_ms: given.until_ms };
      part.seen_from_ms = Math.max(part.from_ms, from - margin);
      part.seen_until_ms = Math.min(part.until_ms, to + margin);
      const answer = await fetch(`${given.address}?${new URLSearchParams(part)}`).catch(() => null);
      if (!answer?.ok) return;
      finer = await answer.json();
      again();
    }, WAIT_MS);
  };
  figure.addEventListener("click", (event) => does[event.target.closest?.("[data-does]")?.dataset.does]?.());
  plot.addEventListener("keydown", (event) => {
    const keys = { ArrowLeft: () => step(-1, event.shiftKey), ArrowRight: () => step(1, event.shiftKey), "+": does.closer, "=": does.closer, "-": does.wider, Home: () => step(-1, true), End: () => step(1, true), 0: does.whole };
    if (!keys[event.key] || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    keys[event.key]();
  });
  chart.getZr().on("mousemove", ({ offsetX }) => {
    const ms = chart.convertFromPixel({ xAxisIndex: 0 }, offsetX);
    if (ms >= seen()[0] && ms <= seen()[1]) point(ms);
  });
  chart.getZr().on("click", ({ offsetX }) => {
    point(chart.convertFromPixel({ xAxisIndex: 0 }, offsetX));
    again();
  });
  return {
    of(spec) {
      given = spec;
      return { ...spec, ...(finer ? { panels: finer.panels } : {}), at_ms: at };
    },
    zoomed: fetchFiner,
  };
}

const clock = (ms) => new Date(ms).toISOString().slice(0, 19).replace("T", " ");

/** What stood at a moment: each channel's nearest value, then what its lanes say. */
export function reading(spec, ms) {
  const parts = [clock(ms)];
  for (const panel of spec.panels) {
    const place = nearest(panel.at_ms, ms);
    const value = panel.value[place];
    if (value === null || value === undefined) continue;
    const range = panel.low ? ` (${digits(panel.low[place])}–${digits(panel.high[place])})` : "";
    parts.push(`${panel.name} ${digits(value)}${range} ${panel.unit}`.trim());
  }
  for (const lane of spec.lanes) {
    const here = lane.spans.find((span) => span.from_ms <= ms && ms <= span.to_ms);
    if (here) parts.push(`${lane.name}: ${here.text}`);
    const beside = lane.marks.find((mark) => Math.abs(mark.at_ms - ms) <= (spec.until_ms - spec.from_ms) / 400);
    if (beside) parts.push(`${lane.name}: ${beside.text}`);
  }
  return parts.join(" · ");
}

function nearest(times, ms) {
  let [low, high] = [0, times.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] < ms) low = middle + 1;
    else high = middle;
  }
  return low > 0 && ms - times[low - 1] < times[low] - ms ? low - 1 : low;
}

function nextEvent(spec, ms, way) {
  const times = spec.lanes.flatMap((lane) => [...lane.spans.flatMap((span) => [span.from_ms, span.to_ms]), ...lane.marks.map((mark) => mark.at_ms)]);
  const ahead = [...times, ...spec.marks.map((mark) => mark.at_ms)].filter((time) => (way > 0 ? time > ms + 500 : time < ms - 500));
  return ahead.length ? (way > 0 ? Math.min(...ahead) : Math.max(...ahead)) : null;
}
