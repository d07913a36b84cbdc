// What all charts share: axes, tooltips without style attributes (the page's policy forbids them), numbers.

/** Three significant digits, as vibration is read. */
export function digits(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size >= 1000) return Math.round(value).toLocaleString("en").replaceAll(",", "\u202f");
  return String(Number(value.toPrecision(3)));
}

export function valueAxis(colour, unit, extra = {}) {
  return {
    type: "value",
    name: unit,
    nameLocation: "end",
    nameTextStyle: { color: colour.soft, align: "right", padding: [0, 6, 0, 0] },
    axisLabel: { color: colour.soft, hideOverlap: true, showMaxLabel: false, showMinLabel: extra.min === 0, formatter: digits },
    axisLine: { show: false },
    axisTick: { show: false },
    splitLine: { lineStyle: { color: colour.line } },
    ...extra,
  };
}

export function lengthAxis(colour, extra) {
  return {
    axisLabel: { color: colour.soft, hideOverlap: true },
    axisLine: { lineStyle: { color: colour.edge } },
    axisTick: { lineStyle: { color: colour.edge } },
    splitLine: { show: false },
    ...extra,
  };
}

/** A tooltip of lines of text; the first one stands out. */
export function tooltip(colour, lines) {
  return {
    trigger: "axis",
    confine: true,
    transitionDuration: 0,
    backgroundColor: colour.surface,
    borderColor: colour.edge,
    textStyle: { color: colour.ink, fontSize: 13 },
    axisPointer: { lineStyle: { color: colour.edge } },
    formatter: (points) => {
      const box = document.createElement("div");
      for (const line of lines(points[0])) {
        box.appendChild(document.createElement("div")).textContent = line;
      }
      return box;
    },
  };
}

export const zoom = [
  { type: "inside", zoomOnMouseWheel: "ctrl", moveOnMouseMove: "shift", moveOnMouseWheel: false },
];
