// How much each channel carries, the largest at the top, with the limit across.

import { digits, tooltip, valueAxis } from "./parts.js";

const LETTER = 7; // px
const GAP = 12;

/** @param spec {name, value, unit, limit, words} */
export function barsOption(spec, colour, width) {
  const most = Math.min(0.4 * width, LETTER * Math.max(...spec.name.map(wide)) + GAP);
  const high = Math.max(...spec.value, spec.limit ?? 0, 1e-9);
  const over = (value) => spec.limit !== null && value > spec.limit;
  return {
    grid: { outerBoundsMode: "none", left: most, right: 24, top: 30, bottom: 30 },
    tooltip: { ...tooltip(colour, (point) => [`${digits(point.value)} ${spec.unit}`, point.name]) },
    xAxis: valueAxis(colour, spec.unit, { min: 0, max: high * 1.1 }),
    yAxis: {
      type: "category",
      inverse: true,
      data: spec.name,
      axisLabel: { color: colour.ink, width: most - GAP, overflow: "truncate" },
      axisLine: { lineStyle: { color: colour.edge } },
      axisTick: { show: false },
    },
    series: [
      {
        type: "bar",
        barMaxWidth: 22,
        data: spec.value.map((value) => ({ value, itemStyle: { color: over(value) ? colour.accent : colour.edge } })),
        markLine: {
          silent: true,
          symbol: "none",
          data: spec.limit === null ? [] : [limit(spec, colour)],
        },
      },
    ],
  };
}

function limit(spec, colour) {
  return {
    xAxis: spec.limit,
    lineStyle: { color: colour.critical, type: "solid", width: 1.75 },
    label: { formatter: spec.words.limit, position: "start", color: colour.critical, fontSize: 12, fontWeight: 600 },
  };
}

const wide = (text) => [...text].reduce((sum, letter) => sum + (letter > "\u2e80" ? 2 : 1), 0);
