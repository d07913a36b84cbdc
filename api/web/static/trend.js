// A trend: the value over time, the zones of ISO 20816 behind it, the limit and the baseline across it, and where a
// forecast (ISO 13381) meets its limit.

import { digits, lengthAxis, tooltip, valueAxis, zoom } from "./parts.js";

const FLAT = 13; // px: a zone band lower than this carries no letter
const HEIGHT = 250; // px of the plot itself
export const TIMES = {
  year: "{yyyy}",
  month: "{yyyy}-{MM}",
  day: "{MM}-{dd}",
  hour: "{HH}:{mm}",
  minute: "{HH}:{mm}",
  second: "{HH}:{mm}:{ss}",
};

/**
 * @param spec {at_ms (in plant time), value, unit, name, zones, limit, baseline, words, steps, marks: [{at_ms, name}],
 *   forecast: {at_ms: [low, median, high], times, limit, name}}
 */
export function trendOption(spec, colour, width) {
  const known = [...spec.value, ...(spec.high ?? [])].filter((value) => value !== null);
  const lines = [spec.limit, spec.baseline, spec.forecast?.limit].filter((value) => value !== null && value !== undefined);
  const context = spec.zones.length > 1 ? spec.zones[1].to * 0.95 : 0; // a healthy machine shows how far the limit is
  const high = Math.max(...known, ...lines, context, 1e-9);
  const low = Math.min(...known, ...lines);
  const near = spec.zones.length === 0 && low > 0.5 * high; // a temperature is looked at closely, a vibration from 0
  const floor = low < 0 ? low * 1.1 : near ? low - 0.3 * (high - low) : 0;
  const top = near ? high + 0.3 * (high - low) : high * 1.18;
  const bands = spec.zones.map((zone, index) => band(zone, spec.zones[index - 1]?.to ?? 0, top, colour));
  return {
    grid: { outerBoundsMode: "none", left: 52, right: spec.zones.length ? 34 : 20, top: 30, bottom: 30 },
    tooltip: tooltip(colour, (point) =>
      point.seriesIndex === 0
        ? [`${digits(point.value[1])} ${spec.unit}`, spec.times[point.dataIndex]]
        : [spec.forecast.name, `${spec.forecast.times[0]} …`, spec.forecast.times[2]],
    ),
    dataZoom: zoom,
    xAxis: lengthAxis(colour, {
      type: "time",
      max: spec.until_ms ?? (spec.forecast ? end(spec) : null),
      splitNumber: width < 500 ? 3 : 6,
      axisLabel: { color: colour.soft, hideOverlap: true, formatter: TIMES },
    }),
    yAxis: valueAxis(colour, spec.unit, { min: floor, max: top }),
    useUTC: true,
    series: [
      {
        type: "line",
        name: spec.name,
        data: spec.at_ms.map((at, index) => [at, spec.value[index]]),
        step: spec.steps ? "end" : false,
        showSymbol: known.length < 3,
        symbolSize: 6,
        lineStyle: { width: 1.75, color: colour.ink },
        itemStyle: { color: colour.ink },
        markArea: { silent: true, data: bands.filter(Boolean) },
        markLine: { silent: true, symbol: "none", data: across(spec, colour, top) },
      },
      ...(spec.forecast ? fan(spec, colour) : []),
    ],
  };
}

// The axis ends where the limit is surely reached, but not so late that what was seen becomes a stump.
function end(spec) {
  const [first, last] = [spec.at_ms[0], spec.at_ms.at(-1)];
  const [, median, high] = spec.forecast.at_ms;
  return Math.max(median + 0.1 * (last - first), Math.min(high, last + 2 * (last - first)));
}

// From the last value to the limit: the earliest and the latest way as a surface, the likeliest as a line.
function fan({ at_ms, value, forecast }, colour) {
  const [low, median, high] = forecast.at_ms;
  const here = value.findLastIndex((one) => one !== null);
  const [from, start, limit] = [at_ms[here], value[here], forecast.limit];
  const latest = (at) => start + ((limit - start) * (at - from)) / Math.max(1, high - from);
  const bare = { type: "line", symbol: "none", silent: true, stack: "forecast", stackStrategy: "all" };
  return [
    { ...bare, lineStyle: { opacity: 0 }, data: [from, low, high].map((at) => [at, latest(at)]) },
    {
      ...bare,
      lineStyle: { opacity: 0 },
      areaStyle: { color: colour.accent, opacity: 0.22 },
      data: [[from, 0], [low, limit - latest(low)], [high, 0]],
    },
    {
      type: "line",
      symbol: "none",
      silent: true,
      lineStyle: { color: colour.accent, width: 1.75, type: "dashed" },
      itemStyle: { color: colour.accent },
      data: [[from, start], [median, limit]],
    },
  ];
}

function band(zone, from, top, colour) {
  const to = Math.min(zone.to ?? top, top);
  if (from >= to) return null;
  const tall = ((to - from) / top) * HEIGHT > FLAT;
  const look = {
    yAxis: from,
    itemStyle: { color: colour[`zone${zone.name}`] },
    label: {
      show: tall,
      formatter: zone.name,
      position: "right",
      distance: 8,
      color: colour.ink,
      fontWeight: 700,
    },
  };
  return [look, { yAxis: to }];
}

function across(spec, colour, top) {
  const line = (value, text, position, style) => ({
    yAxis: value,
    lineStyle: style,
    label: {
      formatter: text,
      position,
      distance: [6, 4],
      color: style.color,
      backgroundColor: colour.surface,
      padding: [2, 6],
      borderRadius: 4,
      fontSize: 12,
      fontWeight: 600,
    },
  });
  const borders = spec.zones
    .filter((zone) => zone.to !== null && zone.to < top)
    .map((zone) => ({ yAxis: zone.to, label: { show: false }, lineStyle: { color: colour.zoneEdge, type: "solid", width: 1 } }));
  const words = [];
  if (spec.limit !== null && spec.limit !== undefined) {
    words.push(line(spec.limit, spec.words.limit, "insideStartTop", { color: colour.critical, type: "solid", width: 1.75 }));
  }
  if (spec.baseline !== null && spec.baseline !== undefined) {
    words.push(line(spec.baseline, spec.words.baseline, "insideEndTop", { color: colour.soft, type: "dashed", width: 1.5 }));
  }
  if (spec.forecast) {
    words.push(line(spec.forecast.limit, spec.forecast.name, "insideStartTop", { color: colour.accent, type: "solid", width: 1.5 }));
  }
  for (const mark of spec.marks) {
    words.push({
      xAxis: mark.at_ms,
      lineStyle: { color: colour.accent, type: "solid", width: 1.75 },
      label: { formatter: mark.name, position: "end", color: colour.accent, fontSize: 12, fontWeight: 600 },
    });
  }
  return [...borders, ...words];
}
