// One-letter keys: j and k walk the list, others belong to the button that names them. They can be turned off.

import { t } from "./words.js";

const OFF = "andon.keys-off";
const WRITING = "input, select, textarea, [contenteditable]";

/** Listen for keys, and for the switch in the help dialog. */
export function startKeys() {
  show();
  document.addEventListener("keydown", pressed);
  document.addEventListener("change", (event) => {
    if (event.target.id !== "keys-on") return;
    localStorage.setItem(OFF, event.target.checked ? "" : "yes");
    show();
  });
  document.addEventListener("submit", (event) => {
    decidedOn = event.target.matches(".verdict form[method=post]") ? chosen() : null;
  });
  document.addEventListener("pointerdown", () => {
    decidedOn = null;
  });
  document.addEventListener("htmx:after:settle", goToTheNext);
  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-opens]");
    if (opener) document.getElementById(opener.dataset.opens)?.showModal();
  });
}

// What is focused after a decision is the next ticket, not its button: Enter held too long decides nothing. A refresh that
// was under way still shows the ticket that was decided on; the answer comes after it.
let decidedOn = null;
const current = () => document.querySelector('.item[aria-current="true"]');
const chosen = () => current()?.getAttribute("href") ?? "";
function goToTheNext() {
  if (decidedOn === null || decidedOn === chosen()) return;
  decidedOn = null;
  const next = current();
  (next?.checkVisibility() ? next : document.getElementById("view"))?.focus({ preventScroll: true });
}

const off = () => localStorage.getItem(OFF) === "yes";

function show() {
  document.documentElement.classList.toggle("keys-off", off());
  const box = document.getElementById("keys-on");
  if (box) box.checked = !off();
}

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (off() || event.target.closest?.(WRITING) || document.querySelector("dialog[open]")) return;
  if (event.key === "j" || event.key === "k") walk(event.key === "j" ? 1 : -1);
  else if (!press(event.key)) return;
  event.preventDefault();
}

function walk(step) {
  const items = [...document.querySelectorAll("[data-item]")];
  if (!items.length) return;
  const here = items.findIndex((item) => item.getAttribute("aria-current") === "true");
  const next = items[Math.max(0, Math.min(items.length - 1, here + step))];
  next.scrollIntoView({ block: "nearest" });
  next.click();
  announce(next.querySelector("[data-title]")?.textContent.trim() ?? "");
}

function press(key) {
  if (key.length !== 1 || key === '"' || key === "\\") return false;
  const target = document.querySelector(`[data-key="${key}"]`);
  if (!target || target.offsetParent === null) return false;
  if (target.matches("summary")) {
    target.parentElement.open = true;
    target.parentElement.querySelector("select, textarea, input:not([type=hidden]), button")?.focus();
  } else if (target.hasAttribute("data-key-focus")) {
    target.focus();
    announce(t("js.press_enter", { what: target.dataset.says ?? target.textContent.trim() }));
  } else {
    target.click();
  }
  return true;
}

/** Say something to screen readers, politely. */
export function announce(text) {
  const region = document.getElementById("announcer");
  if (region) region.textContent = text;
}
