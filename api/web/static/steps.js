// A back-test's charts: tickets over time of both variants as steps, and a sweep's figures against its parameter.

import { digits, tooltip, valueAxis } from "./parts.js";

const LOOKS = { active: "soft", changed: "accent" };
const SWEPT = ["accent", "ink", "critical"];

/** @param spec {lines: [{name, side, at_ms, times, value}], unit} */
export function stepsOption(spec, colour, width) {
  return {
    ...frame(colour),
    tooltip: tooltip(colour, (point) => [
      `${point.seriesName}: ${digits(point.value[1])}`,
      spec.lines[point.seriesIndex].times[point.dataIndex],
    ]),
    xAxis: {
      type: "time",
      splitNumber: width < 500 ? 3 : 6,
      axisLine: { lineStyle: { color: colour.edge } },
      axisLabel: { color: colour.soft, hideOverlap: true },
      splitLine: { show: false },
    },
    yAxis: valueAxis(colour, spec.unit, { minInterval: 1, min: 0 }),
    useUTC: true,
    series: spec.lines.map((line) => ({
      type: "line",
      name: line.name,
      step: "end",
      data: line.at_ms.map((at, index) => [at, line.value[index]]),
      symbolSize: 7,
      lineStyle: { width: 2.25, color: colour[LOOKS[line.side]], type: line.side === "active" ? "dashed" : "solid" },
      itemStyle: { color: colour[LOOKS[line.side]] },
    })),
  };
}

/** @param spec {parameter, value, lines: [{name, value}]} */
export function sweepOption(spec, colour) {
  return {
    ...frame(colour),
    tooltip: tooltip(colour, (point) => [
      `${point.seriesName}: ${digits(point.value[1])}`,
      `${spec.parameter} = ${digits(point.value[0])}`,
    ]),
    xAxis: {
      type: "value",
      scale: true,
      name: spec.parameter,
      nameLocation: "middle",
      nameGap: 26,
      nameTextStyle: { color: colour.soft },
      axisLine: { lineStyle: { color: colour.edge } },
      axisLabel: { color: colour.soft, hideOverlap: true },
      splitLine: { show: false },
    },
    yAxis: valueAxis(colour, "", { min: 0 }),
    series: spec.lines.map((line, place) => ({
      type: "line",
      name: line.name,
      data: spec.value.map((at, index) => [at, line.value[index]]),
      symbolSize: 7,
      lineStyle: { width: 2, color: colour[SWEPT[place]], type: ["solid", "dashed", "dotted"][place] },
      itemStyle: { color: colour[SWEPT[place]] },
    })),
  };
}

function frame(colour) {
  return {
    grid: { outerBoundsMode: "none", left: 52, right: 20, top: 44, bottom: 44 },
    legend: { top: 0, left: 40, textStyle: { color: colour.ink }, itemWidth: 28 },
  };
}
