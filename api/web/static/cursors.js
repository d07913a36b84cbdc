// Cursors on a spectrum: one that snaps to peaks between the lines, its harmonics fitted together, and sidebands.
//
// Everything works by mouse, by finger and by keys; what is under the cursor is read in Hz, orders, CPM and amplitude.

import { describe } from "./described.js";
import { at, harmonics, nextPeak, sidebands, snap } from "./peaks.js";
import { digits } from "./parts.js";

const CATCH_PX = 14; // a peak so near to where was pressed is meant
const GRAVITY = 9.80665;
const MOST = 10; // harmonics
const CONVERTED = {
  g: () => 1,
  "m/s²": () => GRAVITY,
  "mm/s": (hz) => (hz > 0 ? (1000 * GRAVITY) / (2 * Math.PI * hz) : 0),
};
const FROM_HZ = 2; // below it acceleration integrates to noise without end
const EXACT = new Intl.NumberFormat("en", { maximumSignificantDigits: 5, useGrouping: false });

/** What a spectrum's figure holds: its lines (all of them, once fetched), its unit, its cursor and shaft speed. */
export function spectrumTools(figure, { chart, again, look, view }) {
  const plot = figure.querySelector(".plot");
  const box = figure.querySelector(".instruments");
  const find = (name) => box.querySelector(`[data-does="${name}"]`);
  const held = { full: null, asked: "", hz: null, harmonics: true, sidebands: false, unit: "g", speed: null, described: "" };
  let given = null;
  let shown = null;

  const lines = () => ({ value: shown.value, dx_hz: shown.dx_hz, window: held.full?.window ?? "" });
  const end = () => shown.dx_hz * (shown.value.length - 1);
  const seen = () => view() ?? chart.getOption().dataZoom?.slice(0, 1).map((one) => [one.startValue, one.endValue])[0] ?? [0, end()];
  const move = (hz) => {
    held.hz = Math.max(0, Math.min(end(), hz));
    const [from, to] = seen();
    if (held.hz < from || held.hz > to) look([Math.max(0, held.hz - (to - from) / 2), Math.min(end(), held.hz + (to - from) / 2)]);
    else again();
    tell();
  };
  const zoom = (factor) => {
    const [from, to] = seen();
    const middle = held.hz !== null && held.hz >= from && held.hz <= to ? held.hz : (from + to) / 2;
    const span = Math.min(end(), Math.max(20 * shown.dx_hz, (to - from) * factor));
    const start = Math.max(0, Math.min(middle - span / 2, end() - span));
    look([start, start + span]);
  };
  const toPeak = (way) => {
    const found = nextPeak(lines(), held.hz ?? (way > 0 ? 0 : end()), way);
    if (found) move(found.hz);
  };
  const toggle = (name) => {
    held[name] = !held[name];
    find(name).setAttribute("aria-pressed", String(held[name]));
    again();
    tell();
  };
  const speedHz = () => held.speed ?? given.cursors.speed?.hz ?? null;
  const does = {
    previous: () => toPeak(-1),
    next: () => toPeak(1),
    harmonics: () => toggle("harmonics"),
    sidebands: () => toggle("sidebands"),
    closer: () => zoom(0.5),
    wider: () => zoom(2),
    whole: () => look([0, end()]),
  };
  const changed = {
    spacing: () => {
      if (!held.sidebands) toggle("sidebands");
      again();
      tell();
    },
    line: ({ value }) => {
      if (value && speedHz()) move(snap(lines(), Number(value) * speedHz(), 0.02 * Number(value) * speedHz()).hz);
    },
    unit: ({ value }) => {
      held.unit = value;
      again();
      tell();
    },
    speed: ({ value }) => {
      held.speed = Number(value) > 0 ? Number(value) : null;
      again();
      tell();
    },
  };

  const cursor = () => {
    if (held.hz === null) return null;
    const spectrum = lines();
    const fitted = held.harmonics ? harmonics(spectrum, held.hz, MOST) : { hz: held.hz, harmonics: [] };
    const spacing = Number(find("spacing")?.value ?? 1) * (speedHz() ?? 0);
    return {
      hz: held.hz,
      amplitude: snap(spectrum, held.hz, spectrum.dx_hz).amplitude,
      harmonics: fitted.harmonics,
      sidebands: held.sidebands && spacing > 0 ? sidebands(spectrum, held.hz, spacing) : [],
    };
  };

  const tell = () => {
    const now = cursor();
    if (!now) return;
    const { words } = given.cursors;
    const order = (hz) => (speedHz() ? `${EXACT.format(hz / speedHz())}` : "–");
    const sign = unitOf(given, held);
    const on = snap(lines(), now.hz, shown.dx_hz);
    const height = Math.abs(on.hz - now.hz) < 0.05 * shown.dx_hz ? on.amplitude : at(lines(), now.hz);
    const parts = [`${EXACT.format(now.hz)} Hz`, `${EXACT.format(now.hz * 60)} CPM`, `${digits(height)} ${sign}`];
    if (speedHz()) parts.splice(1, 0, `${order(now.hz)} ${words.orders}`);
    const text = [...parts, ...besides(shown.markers, now.hz, words)].join(" · ");
    box.querySelector(".reading").textContent = text;
    plot.setAttribute("aria-valuenow", String(Number(now.hz.toFixed(3))));
    plot.setAttribute("aria-valuetext", text);
    const rows = [
      ...now.harmonics.map((one) => [`${words.harmonic} ${one.order}${one.found ? "" : " ?"}`, one]),
      ...now.sidebands.map((one) => [`${words.sideband} ${one.order > 0 ? "+" : "−"}${Math.abs(one.order)}`, one]),
    ].map(([name, one]) => [name, EXACT.format(one.hz), EXACT.format(one.hz * 60), order(one.hz), digits(one.amplitude)]);
    fill(box.querySelector("tbody"), rows);
  };

  box.addEventListener("click", (event) => does[event.target.closest?.("button[data-does]")?.dataset.does]?.());
  box.addEventListener("change", (event) => changed[event.target.dataset?.does]?.(event.target));
  plot.addEventListener("keydown", (event) => {
    const one = (way) => (event.shiftKey ? toPeak(way) : move((held.hz ?? 0) + way * shown.dx_hz * (event.altKey ? 0.1 : 1)));
    const keys = { ArrowLeft: () => one(-1), ArrowRight: () => one(1), Home: () => move(0), End: () => move(end()), h: does.harmonics, b: does.sidebands, "+": does.closer, "=": does.closer, "-": does.wider, 0: does.whole, Enter: () => move(snap(lines(), held.hz ?? 0, 3 * shown.dx_hz).hz) };
    if (!keys[event.key] || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    keys[event.key]();
  });
  drag(chart, (x, settled) => {
    const hz = chart.convertFromPixel({ xAxisIndex: 0 }, x);
    const reach = Math.abs(chart.convertFromPixel({ xAxisIndex: 0 }, x + CATCH_PX) - hz);
    move(settled ? snap(lines(), hz, reach).hz : hz);
  });

  const fetchAll = async () => {
    const address = held.asked;
    const answer = await fetch(address).catch(() => null);
    const full = answer?.ok ? await answer.json() : null;
    if (full && address === held.asked && full.unit === given.unit_code && full.dx_hz < 0.75 * given.dx_hz) held.full = full;
    if (held.full) again();
    if (held.hz !== null) tell();
  };

  return {
    of(spec) {
      given = spec;
      if (held.asked !== spec.cursors.address) {
        Object.assign(held, { full: null, asked: spec.cursors.address }); // another finding is at the head now
        if (held.asked) fetchAll();
      }
      const base = held.full ? { ...spec, value: held.full.value, dx_hz: held.full.dx_hz } : spec;
      const convert = spec.unit === "g" ? CONVERTED[held.unit] : () => 1;
      const value = base.value.map((one, line) => (held.unit === "mm/s" && line * base.dx_hz < FROM_HZ ? 0 : one * convert(line * base.dx_hz)));
      const stretch = speedHz() && spec.cursors.speed ? speedHz() / spec.cursors.speed.hz : 1;
      const markers = spec.markers.map((one) => (one.low ? { ...one, hz: one.hz * stretch, low: one.low * stretch, high: one.high * stretch } : one));
      shown = { ...base, value, markers, unit: unitOf(spec, held) };
      const said = held.full ? spec.cursors.words.of_block : spec.cursors.words.of_mean;
      box.querySelector('[data-says="resolution"]').textContent = said.replace("{step}", digits(base.dx_hz));
      const drawn = `${spec.cursors.address} ${Boolean(held.full)} ${shown.unit} ${stretch}`;
      if (drawn !== held.described) describe(figure, shown);
      held.described = drawn;
      held.hz ??= first(spec, lines());
      const result = { ...shown, cursor: cursor() };
      if (held.hz !== null && box.querySelector("tbody").childElementCount === 0) tell();
      return result;
    },
  };
}

const unitOf = (spec, held) => (spec.unit === "g" ? held.unit : spec.unit);

// A spectrum that names its fault opens with the cursor on it: the planner need not search.
function first(spec, spectrum) {
  const main = spec.markers.find((marker) => marker.main);
  return main ? snap(spectrum, main.hz, 0.02 * main.hz).hz : null;
}

function besides(markers, hz, words) {
  const inside = markers.filter((one) => (one.low ? one.low <= hz && hz <= one.high : Math.abs(one.hz - hz) < 0.006 * hz));
  return inside.map((one) => words.beside.replace("{name}", one.name).replace("{percent}", digits((100 * Math.abs(hz - one.hz)) / one.hz)));
}

function fill(body, rows) {
  body.replaceChildren(
    ...rows.map((cells) => {
      const row = document.createElement("tr");
      cells.forEach((text, place) => {
        const cell = row.insertCell();
        cell.textContent = text;
        if (place) cell.className = "number";
      });
      return row;
    }),
  );
}

// Press and pull moves the cursor; where it is let go it settles on the peak that is near.
function drag(chart, moved) {
  const surface = chart.getZr();
  let pulled = false;
  let due = 0;
  surface.on("mousedown", ({ offsetX, offsetY }) => {
    pulled = chart.containPixel("grid", [offsetX, offsetY]);
    if (pulled) moved(offsetX, false);
  });
  surface.on("mousemove", ({ offsetX }) => {
    if (!pulled || due) return;
    due = requestAnimationFrame(() => {
      due = 0;
      if (pulled) moved(offsetX, false);
    });
  });
  surface.on("mouseup", ({ offsetX }) => {
    if (pulled) moved(offsetX, true);
    pulled = false;
  });
  surface.on("globalout", () => {
    pulled = false;
  });
}
