// Draws each figure[data-chart] from the JSON beside it; colours come from the style sheet, words from the page.

import { barsOption } from "./bars.js";
import { stepsOption, sweepOption } from "./steps.js";
import { spectrumOption } from "./spectrum.js";
import { trendOption } from "./trend.js";

const OPTIONS = {
  trend: trendOption,
  spectrum: spectrumOption,
  bars: barsOption,
  steps: stepsOption,
  sweep: sweepOption,
};
const NAMES = [
  "ink", "soft", "line", "edge", "surface", "accent", "accent-soft", "critical",
  "zone-a", "zone-b", "zone-c", "zone-d", "zone-edge",
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
  for (const plot of [...drawn.keys()]) {
    const { chart, view } = drawn.get(plot);
    if (plot.clientWidth === 0) continue;
    chart.resize();
    drawn.set(plot, { chart, text: null, view });
    draw(plot.closest("[data-chart]"));
  }
  drawCharts(document);
}

function draw(figure) {
  const plot = figure.querySelector(".plot");
  const text = figure.querySelector("script[type='application/json']").textContent;
  if (plot.clientWidth === 0 || drawn.get(plot)?.text === text) return;
  palette ??= colours();
  const chart = drawn.get(plot)?.chart ?? start(plot);
  const spec = JSON.parse(text);
  const view = drawn.get(plot)?.view ?? null;
  const option = OPTIONS[spec.kind](spec, palette, chart.getWidth(), view);
  chart.setOption({ ...common(palette), ...option }, { notMerge: true });
  drawn.set(plot, { chart, text, view });
  figure.dataset.drawn = "yes";
}

function start(plot) {
  const chart = window.echarts.init(plot, null, {
    renderer: "canvas",
    locale: document.documentElement.lang.startsWith("zh") ? "ZH" : "EN",
  });
  plot.addEventListener("andon:span", () => markSpan(plot, chart));
  chart.on("datazoom", () => {
    const { startValue, endValue } = chart.getOption().dataZoom[0];
    drawn.set(plot, { chart, text: null, view: [startValue, endValue] });
    draw(plot.closest("[data-chart]"));
  });
  return chart;
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
