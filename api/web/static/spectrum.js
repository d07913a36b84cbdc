// A spectrum or envelope spectrum: lines over frequency, with the fault frequencies marked and named.

import { place } from "./markers.js";
import { digits, lengthAxis, tooltip, valueAxis, zoom } from "./parts.js";

const LEFT = 52;
const RIGHT = 20;
const ROW = 16;
const MOST_ROWS = 4;
const FONT = "600 12px sans-serif";

/**
 * @param spec {dx_hz, value, unit, name, markers: [{name, hz, main, low, high}], cursor}; low and high are where a
 *   fault's line may lie, cursor is what cursors.js holds: {hz, harmonics, sidebands}
 * @param view [from, to] in Hz, or null for what tells most: a little beyond the highest main marker
 */
export function spectrumOption(spec, colour, width, view) {
  const end = spec.dx_hz * (spec.value.length - 1);
  const [from, to] = view ?? [0, telling(spec, end)];
  const inside = spec.markers.filter((marker) => marker.hz >= from && marker.hz <= to);
  const sorted = inside.sort((a, b) => Number(b.main) - Number(a.main) || a.hz - b.hz);
  const spots = place(
    sorted.map((marker) => ({
      x: LEFT + ((marker.hz - from) / (to - from)) * (width - LEFT - RIGHT),
      width: textWidth(marker.name),
    })),
    LEFT,
    width - RIGHT,
    MOST_ROWS,
  );
  const rows = 1 + Math.max(0, ...spots.map((spot) => spot.row));
  return {
    grid: { outerBoundsMode: "none", left: LEFT, right: RIGHT, top: 26 + rows * ROW, bottom: 44 },
    tooltip: tooltip(colour, (point) => [
      `${digits(point.value[0])} Hz`,
      `${digits(point.value[1])} ${spec.unit}`,
      ...nearby(sorted, point.value[0], spec.dx_hz),
    ]),
    dataZoom: zoom.map((one) => ({ ...one, startValue: from, endValue: to })),
    xAxis: lengthAxis(colour, {
      type: "value",
      name: "Hz",
      nameLocation: "middle",
      nameGap: 26,
      nameTextStyle: { color: colour.soft },
      min: 0,
      max: end,
      axisLabel: { color: colour.soft, hideOverlap: true, showMaxLabel: false, formatter: digits },
      splitNumber: width < 500 ? 4 : 8,
    }),
    yAxis: valueAxis(colour, spec.unit, { min: 0, splitNumber: 4 }),
    series: [
      {
        type: "line",
        name: spec.name,
        data: spec.value.map((value, index) => [index * spec.dx_hz, value]),
        showSymbol: false,
        lineStyle: { width: 1.25, color: colour.ink },
        itemStyle: { color: colour.ink },
        markLine: {
          silent: true,
          z: 1, // behind the spectrum: a peak must not hide under its own name
          symbol: "none",
          data: sorted.map((marker, index) => mark(marker, spots[index], colour)),
        },
        markArea: { silent: true, data: sorted.filter((marker) => marker.high > marker.low).map((marker) => range(marker, colour)) },
      },
      ...(spec.cursor ? cursors(spec, colour) : []),
    ],
  };
}

function telling(spec, end) {
  const main = spec.markers.filter((marker) => marker.main && marker.hz <= end).map((marker) => marker.hz);
  return main.length ? Math.min(end, Math.max(1.25 * Math.max(...main), 3.5 * Math.min(...main))) : end;
}

function mark(marker, spot, colour) {
  const tint = marker.main ? colour.accent : colour.soft;
  return {
    xAxis: marker.hz,
    lineStyle: { color: tint, type: marker.main ? "solid" : "dashed", width: marker.main ? 1.75 : 1, opacity: marker.main ? 0.75 : 0.6 },
    label: {
      show: spot.row >= 0,
      formatter: marker.name,
      position: "end",
      distance: 4,
      offset: [spot.shift, -spot.row * ROW],
      color: tint,
      opacity: 1,
      fontSize: 12,
      fontWeight: marker.main ? 700 : 500,
    },
  };
}

// Speed is not constant and rolling elements slip: a fault's line lies somewhere in a range that grows with its order.
const range = (marker, colour) => [
  { xAxis: marker.low, itemStyle: { color: marker.main ? colour.accent : colour.soft, opacity: marker.main ? 0.16 : 0.1 } },
  { xAxis: marker.high },
];

// The cursor with its harmonics (dots with their order on the peaks) and sidebands (dotted).
function cursors({ cursor, unit, name }, colour) {
  const line = (hz, type, width) => ({ xAxis: hz, label: { show: false }, lineStyle: { color: colour.critical, type, width } });
  const others = cursor.harmonics.filter((one) => one.order > 1);
  const bare = { silent: true, name, unit };
  return [
    {
      ...bare,
      type: "line",
      data: [],
      markLine: {
        silent: true,
        symbol: "none",
        data: [
          line(cursor.hz, "solid", 2),
          ...others.map((one) => line(one.hz, "solid", 0.75)),
          ...cursor.sidebands.map((one) => line(one.hz, "dotted", 1.5)),
        ],
      },
    },
    dots(bare, [{ order: 1, hz: cursor.hz, amplitude: cursor.amplitude, found: true }, ...others], colour, (one) => String(one.order)),
    dots(bare, cursor.sidebands.map((one) => ({ ...one, found: true })), colour, (one) => (one.order > 0 ? `+${one.order}` : `−${-one.order}`)),
  ];
}

const dots = (bare, lines, colour, text) => ({
  ...bare,
  type: "scatter",
  symbolSize: 7,
  z: 5,
  data: lines.map((one) => ({
    value: [one.hz, one.amplitude],
    itemStyle: { color: one.found ? colour.critical : colour.surface, borderColor: colour.critical, borderWidth: 1.25 },
    label: { show: true, formatter: text(one), position: "right", distance: 5, color: colour.critical, fontSize: 12, fontWeight: 700, textBorderColor: colour.surface, textBorderWidth: 3 },
  })),
});

const nearby = (markers, hz, step) =>
  markers.filter((marker) => Math.abs(marker.hz - hz) <= Math.max(1.5 * step, 0.006 * hz)).map((marker) => marker.name);

let ruler = null;
function textWidth(text) {
  ruler ??= document.createElement("canvas").getContext("2d");
  ruler.font = FONT;
  return ruler.measureText(text).width;
}
