// Where the labels of markers go: in rows above the plot, so that none covers another.

const GAP = 6;

/**
 * Give each marker `row` (0 is next to the plot) and `shift` (px, keeps the label inside).
 * @param markers [{x, width}] pixel centre and label width; the important ones first, they get the low rows
 * @param {number} left @param {number} right  edges of the plot in px
 * @param {number} most  rows there may be; a label that fits in none gets row -1 and is not drawn
 */
export function place(markers, left, right, most) {
  const rows = Array.from({ length: most }, () => []);
  return markers.map(({ x, width }) => {
    const from = Math.max(left, Math.min(x - width / 2, right - width));
    const span = [from - GAP, from + width + GAP];
    const row = rows.findIndex((taken) => taken.every(([a, b]) => span[1] <= a || span[0] >= b));
    if (row >= 0) rows[row].push([from, from + width]);
    return { row, shift: from + width / 2 - x };
  });
}
