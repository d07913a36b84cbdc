// Peaks between the lines of a spectrum: where a tone really lies, its harmonics and its sidebands. Pure functions.
//
// A spectrum has a value every `dx` Hz; a tone lies between two of them. What counts is that an error at the 1st order
// is ten times as large at the 10th: so a fundamental is fitted to all of its harmonics that are there.

const REACH = 0.02; // a harmonic is looked for this far from where it should be, as a part of one order
const LEAST_LINES = 1.5; // but at least so many lines
const STANDS_OUT = 5; // median departures above the median around it: of 300 lines of noise one does
const AROUND = 12; // lines on either side that the median is of

/** The line of the highest value within `reach` lines of `at` (a line, not whole). */
export function highestNear(value, at, reach) {
  const from = Math.max(0, Math.ceil(at - reach));
  const to = Math.min(value.length - 1, Math.floor(at + reach));
  let best = Math.min(value.length - 1, Math.max(0, Math.round(at)));
  for (let line = from; line <= to; line += 1) if (value[line] > value[best]) best = line;
  return best;
}

/**
 * Where the top of a peak lies, in lines, and how high it is.
 * Under a Hann window the ratio of the two highest lines gives it exactly for a steady tone (T. Grandke, IEEE Trans.
 * Instrum. Meas. 32 (1983)): δ = (2a - 1) / (a + 1); else a parabola through the logarithms of three lines.
 */
export function top(value, line, window = "") {
  const here = value[line];
  const left = value[line - 1] ?? 0;
  const right = value[line + 1] ?? 0;
  if (!(here > 0) || left > here || right > here) return { line, height: here ?? 0 };
  if (window === "hann") return hannTop(here, left, right, line);
  if (!(left > 0) || !(right > 0)) return { line, height: here };
  const [a, b, c] = [Math.log(left), Math.log(here), Math.log(right)];
  const bend = a - 2 * b + c;
  const shift = bend < 0 ? (0.5 * (a - c)) / bend : 0;
  return { line: line + shift, height: Math.exp(b - 0.25 * (a - c) * shift) };
}

function hannTop(here, left, right, line) {
  const side = right >= left ? 1 : -1;
  const ratio = Math.max(left, right) / here;
  const shift = Math.max(0, Math.min(0.5, (2 * ratio - 1) / (ratio + 1)));
  const loss = shift < 1e-9 ? 1 : Math.sin(Math.PI * shift) / (Math.PI * shift * (1 - shift * shift));
  return { line: line + side * shift, height: here / loss };
}

/** The peak nearest to `hz` within `reachHz`: the highest line there, and its top between the lines. */
export function snap({ value, dx_hz: dx, window }, hz, reachHz) {
  const line = highestNear(value, hz / dx, Math.max(1, reachHz / dx));
  const found = top(value, line, window);
  return { hz: found.line * dx, amplitude: found.height };
}

/** The next peak that stands out, from `hz` to the right (`way` 1) or left (-1); null if there is none. */
export function nextPeak(spectrum, hz, way) {
  const { value, dx_hz: dx, window } = spectrum;
  for (let line = Math.round(hz / dx) + way * 2; line > 0 && line < value.length - 1; line += way) {
    if (value[line] >= value[line - 1] && value[line] > value[line + 1] && standsOut(value, line)) {
      const found = top(value, line, window);
      return { hz: found.line * dx, amplitude: found.height };
    }
  }
  return null;
}

/** Whether a line is a peak worth a name: well above what lies around it. */
export function standsOut(value, line) {
  const around = value.slice(Math.max(0, line - AROUND), line + AROUND + 1);
  const usual = median(around);
  return value[line] > usual + STANDS_OUT * median(around.map((one) => Math.abs(one - usual)));
}

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

/**
 * The fundamental fitted to its harmonics, and each of them: [{order, hz, amplitude, found}].
 * Order by order the next one is looked for where those found so far put it; each counts by its order squared, since
 * the same error in Hz says so much more of the fundamental. `found` is false where nothing stands out: then `hz` is
 * where it should be, and `amplitude` the spectrum there.
 */
export function harmonics(spectrum, hz, most = 10) {
  const { value, dx_hz: dx, window } = spectrum;
  let [sum, weight] = [0, 0];
  let fundamental = hz;
  const seen = [];
  for (let order = 1; order <= most && order * fundamental < dx * (value.length - 1); order += 1) {
    const expected = (order * fundamental) / dx;
    const reach = Math.max(LEAST_LINES, (REACH * fundamental) / dx);
    const line = highestNear(value, expected, reach);
    const peak = top(value, line, window);
    const isPeak = value[line] >= (value[line - 1] ?? 0) && value[line] >= (value[line + 1] ?? 0);
    const found = isPeak && standsOut(value, line) && Math.abs(peak.line - expected) <= reach;
    if (found) {
      sum += order * peak.line * dx;
      weight += order * order;
      fundamental = sum / weight;
    }
    seen.push({ order, found, amplitude: peak.height });
  }
  const told = seen.map((one) => ({
    ...one,
    hz: one.order * fundamental,
    amplitude: one.found ? one.amplitude : at(spectrum, one.order * fundamental),
  }));
  return { hz: fundamental, harmonics: told };
}

/** Sidebands of `hz` every `spacing` Hz: [{order: ±k, hz, amplitude}]; each reads the peak that is there. */
export function sidebands(spectrum, hz, spacing, most = 3) {
  const { value, dx_hz: dx, window } = spectrum;
  const found = [];
  for (let order = -most; order <= most; order += 1) {
    const place = hz + order * spacing;
    if (order === 0 || place <= 0 || place >= dx * (value.length - 1)) continue;
    const line = highestNear(value, place / dx, 1);
    const peak = top(value, line, window);
    found.push({ order, hz: place, amplitude: peak.height });
  }
  return found;
}

/** The spectrum's value at a frequency, straight between its lines. */
export function at({ value, dx_hz: dx }, hz) {
  const place = Math.min(value.length - 1, Math.max(0, hz / dx));
  const line = Math.min(value.length - 2, Math.floor(place));
  return value[line] + (place - line) * (value[line + 1] - value[line]);
}
