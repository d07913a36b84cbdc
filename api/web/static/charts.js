// Draws each figure[data-chart] from the JSON beside it; colours come from the style sheet, words from the page.
//
// What a person does at a figure (cursors, zoom) is held by its tools, one file per kind: they are given the figure and
// a way to draw it again, and add what they hold to the JSON before it is drawn.

import { barsOption } from "./bars.js";
import { courseOption, courseTools } from "./course.js";
import { spectrumTools } from "./cursors.js";
import { stepsOption, sweepOption } from "./steps.js";
import { spectrumOption } from "./spectrum.js";
import { trendOption } from "./trend.js";
import { waveformOption, waveformTools } from "./waveform.js";

const OPTIONS = {
  trend: trendOption,
  course: courseOption,
  spectrum: spectrumOption,
  waveform: waveformOption,
  bars: barsOption,
  steps: stepsOption,
  sweep: sweepOption,
};
const TOOLS = { course: courseTools, spectrum: spectrumTools, waveform: waveformTools };
const NAMES = [
  "ink", "soft", "line", "edge", "surface", "accent", "accent-soft", "critical", "critical-soft", "high", "high-soft",
  "good", "good-soft", "sunken", "zone-a", "zone-b", "zone-c", "zone-d", "zone-edge",
];
const drawn = new Map();
let palette = null;

/** Draw what is new or has changed under that element; forget what has left the page. */
export function drawCharts(root) {
  for (const [plot, { chart }] of drawn) {
    if (plot.isConnected) continue;
    chart.dispose();
    drawn.delete(plot);
  }
  for (const figure of root.querySelectorAll("[data-chart]")) draw(figure);
}

/** Redraw when the window, the theme or the visible tab changes; on paper in the light colours. */
export function watchCharts() {
  const root = document.documentElement;
  let theme;
  window.addEventListener("beforeprint", () => {
    theme = root.dataset.theme;
    root.dataset.theme = "light";
    redraw(true);
  });
  window.addEventListener("afterprint", () => {
    if (theme === undefined) delete root.dataset.theme;
    else root.dataset.theme = theme;
    redraw(true);
  });
  window.addEventListener("resize", () => redraw(false));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraw(true));
}

function redraw(colours) {
  if (colours) palette = null;
  for (const [plot, held] of drawn) {
    if (plot.clientWidth === 0) continue;
    held.chart.resize();
    again(plot);
  }
  drawCharts(document);
}

function again(plot) {
  const held = drawn.get(plot);
  if (!held || !plot.isConnected) return;
  held.text = null;
  draw(plot.closest("[data-chart]"));
}

function draw(figure) {
  const plot = figure.querySelector(".plot");
  const text = figure.querySelector("script[type='application/json']").textContent;
  if (plot.clientWidth === 0 || drawn.get(plot)?.text === text) return;
  palette ??= colours();
  const given = JSON.parse(text);
  const held = drawn.get(plot) ?? start(plot, figure, given);
  const spec = held.tools ? held.tools.of(given) : given;
  const option = OPTIONS[spec.kind](spec, palette, held.chart.getWidth(), held.view);
  if (option.height) {
    plot.style.height = `${option.height}px`;
    held.chart.resize();
  }
  held.chart.setOption({ ...common(palette), ...option }, { notMerge: true });
  held.text = text;
  figure.dataset.drawn = "yes";
}

function start(plot, figure, spec) {
  const chart = window.echarts.init(plot, null, {
    renderer: "canvas",
    locale: document.documentElement.lang.startsWith("zh") ? "ZH" : "EN",
  });
  const held = { chart, text: null, view: null, tools: null };
  drawn.set(plot, held);
  const look = (view) => {
    held.view = view;
    again(plot);
  };
  const wanted = spec.kind !== "spectrum" || spec.cursors;
  if (TOOLS[spec.kind] && wanted) {
    held.tools = TOOLS[spec.kind](figure, { chart, again: () => again(plot), look, view: () => held.view });
  }
  plot.addEventListener("andon:span", () => markSpan(plot, chart));
  chart.on("datazoom", () => {
    const { startValue, endValue } = chart.getOption().dataZoom[0];
    look([startValue, endValue]);
    held.tools?.zoomed?.();
  });
  return held;
}

// A stretch of time is marked by pressing its two ends on the plot: they go into the form for labels.
function markSpan(plot, chart) {
  const form = document.getElementById("label-form");
  const ends = [];
  const press = ({ offsetX }) => {
    const at = chart.convertFromPixel({ xAxisIndex: 0 }, offsetX);
    ends.push(new Date(at).toISOString().slice(0, 19)); // the axis shows plant time as UTC
    form.elements[ends.length === 1 ? "from" : "to"].value = ends.at(-1);
    if (ends.length < 2) return;
    chart.getZr().off("click", press);
    [form.elements.from.value, form.elements.to.value] = ends.sort();
    plot.classList.remove("marking");
    form.elements.what.focus();
  };
  plot.classList.add("marking");
  plot.scrollIntoView({ block: "center" });
  chart.getZr().on("click", press);
}

function common(colour) {
  return {
    animation: false,
    backgroundColor: "transparent",
    textStyle: { fontFamily: getComputedStyle(document.body).fontFamily, color: colour.ink },
    aria: { enabled: false }, // the figure carries its own summary and table
  };
}

// Custom properties hold light-dark() as text; an element that uses them has the colour itself.
function colours() {
  const probe = document.body.appendChild(document.createElement("i"));
  const found = {};
  for (const name of NAMES) {
    probe.style.color = `var(--${name})`;
    found[name.replace(/-(\w)/, (_, letter) => letter.toUpperCase())] = getComputedStyle(probe).color;
  }
  probe.remove();
  return found;
}
