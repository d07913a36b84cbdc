// The outbox: what a technician does without a network is kept in this browser (IndexedDB) and sent when it is back.
//
// It needs no service worker, so it also works on plain http. Each entry goes out under a key of its own, so that one
// whose answer was lost on the way is not done twice; it goes only as the person who wrote it.

import { t } from "./words.js";

const STORE = "entries";
const EVERY_MS = 10_000;
const PATIENCE = 500; // from here on an answer means "not now"; below it, "not so"

let sending = false;

/** Catch what cannot be sent, show what waits, and send it as soon as that is possible. */
export function startOutbox() {
  if (!window.indexedDB) return;
  document.addEventListener("htmx:before:request", (event) => {
    const form = formOf(event);
    if (!form || !isOffline()) return;
    event.preventDefault();
    keep(form, event.detail.ctx.request.body);
  });
  document.addEventListener("htmx:error", (event) => {
    const form = formOf(event);
    if (form && event.detail.error instanceof TypeError) keep(form, event.detail.ctx.request.body);
  });
  document.addEventListener("click", pressed);
  for (const name of ["online", "offline"]) window.addEventListener(name, flush);
  document.addEventListener("andon:live", flush);
  setInterval(flush, EVERY_MS);
  flush();
}

const formOf = (event) => event.detail?.ctx?.sourceElement?.closest?.("form[data-outbox]");
const isOffline = () => !navigator.onLine || document.querySelector(".live")?.dataset.state === "off";
const who = () => document.body.dataset.actor ?? "";

async function keep(form, body) {
  const fields = {};
  let photo = null;
  for (const [name, value] of body.entries()) {
    if (value instanceof Blob) photo = value.size ? value : photo;
    else if (value !== "") fields[name] = value;
  }
  await store("readwrite", (entries) => entries.add({ key: random(), at: Date.now(), address: form.dataset.outbox, what: form.dataset.says, who: who(), fields, photo, refused: "" }));
  form.reset();
  form.dataset.kept = "yes";
  flush();
}

/** Send what waits, in its order; what is refused stays, with why. */
async function flush() {
  if (sending) return;
  sending = true;
  try {
    for (const entry of await all()) {
      if (entry.refused || entry.who !== who() || !navigator.onLine) continue;
      const answer = await send(entry).catch(() => null);
      if (!answer || answer.status >= PATIENCE || answer.status === 429 || answer.status === 401) break;
      if (answer.ok) {
        await store("readwrite", (entries) => entries.delete(entry.id));
        document.getElementById("view")?.dispatchEvent(new CustomEvent("andon:changed"));
      } else {
        const said = await answer.json().catch(() => ({}));
        await store("readwrite", (entries) => entries.put({ ...entry, refused: said.detail ?? said.title ?? String(answer.status) }));
      }
    }
  } finally {
    sending = false;
    show(await all());
  }
}

function send({ address, key, fields, photo, who: person }) {
  const headers = { "Idempotency-Key": key, Accept: "application/json" };
  if (document.getElementById("me")) headers["X-Andon-Person"] = person;
  if (photo) {
    const body = new FormData();
    body.append("photo", photo, photo.name ?? "photo.jpg");
    return fetch(address, { method: "POST", headers, body });
  }
  return fetch(address, { method: "POST", headers: { ...headers, "Content-Type": "application/json" }, body: JSON.stringify(fields) });
}

function show(entries) {
  let banner = document.getElementById("outbox");
  if (!banner) {
    banner = document.createElement("div");
    document.querySelector("header.top")?.after(banner);
    banner.id = "outbox";
    banner.className = "outbox";
    banner.setAttribute("role", "status");
  }
  banner.hidden = entries.length === 0;
  const waiting = entries.filter((entry) => !entry.refused).length;
  const lines = waiting ? [line(t(isOffline() ? "js.outbox_offline" : "js.outbox_pending", { n: waiting }), t("js.outbox_now"), "send")] : [];
  for (const entry of entries.filter((one) => one.refused)) {
    lines.push(line(t("js.outbox_refused", { what: entry.what, why: entry.refused }), t("js.outbox_discard"), String(entry.id)));
  }
  banner.replaceChildren(...lines);
}

function line(text, label, does) {
  const row = document.createElement("p");
  row.appendChild(document.createElement("span")).textContent = text;
  const button = row.appendChild(document.createElement("button"));
  Object.assign(button, { type: "button", className: "button", textContent: label });
  button.dataset.outboxDoes = does;
  return row;
}

async function pressed(event) {
  const does = event.target.closest?.("[data-outbox-does]")?.dataset.outboxDoes;
  if (!does) return;
  if (does !== "send") await store("readwrite", (entries) => entries.delete(Number(does)));
  flush();
}

// On plain http there is no crypto.randomUUID; random bytes there are.
const random = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

const all = () => store("readonly", (entries) => entries.getAll());

function store(mode, deed) {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open("andon", 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore(STORE, { keyPath: "id", autoIncrement: true });
    opening.onerror = () => reject(opening.error);
    opening.onsuccess = () => {
      const base = opening.result;
      const change = base.transaction(STORE, mode);
      const asked = deed(change.objectStore(STORE));
      change.oncomplete = () => {
        base.close();
        resolve(asked.result);
      };
      change.onerror = () => {
        base.close();
        reject(change.error);
      };
    };
  });
}
