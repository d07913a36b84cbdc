// Keeps the page true: the server says that something changed, the page fetches itself and is morphed in place.

import { t } from "./words.js";

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;
const SESSION_OVER = 1008;
const REFUSED = 1006;
const PATIENCE_MS = 2_000;
const sign = document.querySelector(".live");
const view = () => document.getElementById("view");

let wait = FIRST_WAIT_MS;
let latest = 0;
let underWay = 0;
let fetchedAt = performance.now();
let heardAt = Date.now();
let telling = 0;

/** Open the tab's one WebSocket and follow its hints; open it again when it breaks. */
export function startLive() {
  if (!view()) return;
  document.addEventListener("htmx:before:swap", keepWhatIsOpen);
  // While a form is on its way its answer is the news: what a refresh fetched of before would undo it.
  document.addEventListener("htmx:before:request", () => {
    underWay += 1;
  });
  document.addEventListener("htmx:finally:request", () => {
    underWay = Math.max(0, underWay - 1);
    fetchedAt = performance.now();
    refreshIfStale();
  });
  setInterval(refreshIfStale, 1000);
  document.addEventListener("visibilitychange", refreshIfStale);
  document.addEventListener("focusout", () => setTimeout(refreshIfStale, 250));
  connect();
}

function connect() {
  const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/live`);
  socket.addEventListener("open", () => {
    wait = FIRST_WAIT_MS;
    say("on");
    document.dispatchEvent(new Event("andon:live"));
  });
  socket.addEventListener("message", (message) => {
    heardAt = Date.now();
    latest = JSON.parse(message.data).changed;
    refreshIfStale();
  });
  socket.addEventListener("close", (end) => {
    if (end.code === SESSION_OVER) return location.reload();
    if (end.code === REFUSED) askWhetherSignedIn();
    if (sign?.dataset.state === "on") heardAt = Date.now();
    say("off");
    setTimeout(connect, wait * (0.75 + Math.random() / 2));
    wait = Math.min(wait * 2, LONGEST_WAIT_MS);
  });
}

// A browser does not say why a socket was refused: the server may be away, or the session over.
function askWhetherSignedIn() {
  fetch("/", { method: "HEAD" }).then(
    (answer) => answer.status === 401 && location.reload(),
    () => {},
  );
}

function say(state) {
  if (!sign) return;
  sign.dataset.state = state;
  sign.title = t(`js.live_${state}`);
  sign.querySelector("span").textContent = sign.title;
  clearTimeout(telling);
  if (state === "off") telling = setTimeout(tell, PATIENCE_MS);
  else document.getElementById("offline")?.replaceChildren();
}

// A connection that comes back at once is not worth a word.
function tell() {
  const { lang, dataset } = document.documentElement;
  const clock = new Intl.DateTimeFormat(lang, { hour: "2-digit", minute: "2-digit", hour12: false, timeZone: dataset.zone });
  const band = document.getElementById("offline");
  if (band && !band.childElementCount) {
    band.appendChild(document.createElement("p")).textContent = t("js.offline", { what: clock.format(heardAt) });
  }
}

function refreshIfStale() {
  const here = view();
  if (!here || underWay || document.hidden) return;
  if (!(isStale(here) || isOld(here)) || someoneIsWriting(here)) return;
  here.dispatchEvent(new CustomEvent("andon:changed"));
}

// Something changed since the server rendered this view.
const isStale = (here) => latest !== 0 && Number(here.dataset.changed) !== latest;

// A view that shows measurements asks for itself every few seconds.
const isOld = (here) => performance.now() - fetchedAt > 1000 * Number(here.dataset.refresh ?? Infinity);

// A form that someone fills in is not swapped away under their hands; it is brought up to date afterwards.
function someoneIsWriting(here) {
  const active = document.activeElement;
  if (here.contains(active) && active.matches("input, select, textarea")) return true;
  return [...here.querySelectorAll("textarea, input[type=text], input[type=file]")].some(
    (field) => field.value !== field.defaultValue && field.value !== "",
  );
}

// A drawer that is open stays open when the page is morphed.
function keepWhatIsOpen(event) {
  for (const task of event.detail.tasks) {
    for (const open of document.querySelectorAll("details[open][id]")) {
      task.fragment?.querySelector?.(`#${CSS.escape(open.id)}`)?.setAttribute("open", "");
    }
  }
}
