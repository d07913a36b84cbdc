// Marks what has come in while the page was open, until somebody looks at it.

import { announce } from "./keys.js";
import { t } from "./words.js";

const fresh = new Set();
let before = null;

/** Compare the rows of the page before and after each refresh that the server asked for. */
export function startFresh() {
  document.addEventListener("andon:changed", () => (before = rows()), true);
  document.addEventListener("htmx:after:settle", compare);
  document.addEventListener("click", (event) => {
    const row = event.target.closest?.("[data-item]") && rowOf(event.target.closest("[data-item]"));
    if (!row) return;
    fresh.delete(row.id);
    delete row.dataset.new;
  });
}

const rowOf = (item) => item.closest("li[id], tr[id]");
const rows = () =>
  new Map([...document.querySelectorAll("[data-item]:not(details *)")].map((one) => [rowOf(one)?.id, one]));

function compare() {
  const now = rows();
  for (const [id, item] of before ? now : []) {
    if (!id || before.has(id)) continue;
    fresh.add(id);
    announce(`${t("js.new")}: ${(item.querySelector("[data-title]") ?? item).textContent.trim()}`);
  }
  before = null;
  for (const id of fresh) {
    const row = document.getElementById(id);
    if (row) row.dataset.new = t("js.new");
  }
}
