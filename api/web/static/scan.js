// Barcodes and QR codes by the camera, where the browser reads them itself; scanners that type need none of this.

const EVERY_MS = 200;

/** Give each field that takes a scan a button for the camera, where there is one that can be used. */
export function startScans() {
  if (!("BarcodeDetector" in window) || !navigator.mediaDevices?.getUserMedia) return;
  offer(document);
  document.addEventListener("htmx:after:settle", () => offer(document));
}

function offer(root) {
  for (const field of root.querySelectorAll("input[data-scan]")) {
    if (field.nextElementSibling?.matches(".scan")) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "button scan";
    button.textContent = field.dataset.scan;
    button.addEventListener("click", () => scanInto(field));
    field.after(button);
  }
}

async function scanInto(field) {
  const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } }).catch(() => null);
  if (!stream) return;
  const { dialog, video } = shown(field, stream);
  const ended = new Promise((done) => dialog.addEventListener("close", done, { once: true }));
  const found = await Promise.race([read(video, dialog), ended.then(() => "")]);
  for (const track of stream.getTracks()) track.stop();
  dialog.remove();
  if (!found) return;
  field.value = found;
  field.dispatchEvent(new Event("input", { bubbles: true }));
  field.focus();
}

function shown(field, stream) {
  const dialog = document.createElement("dialog");
  const video = document.createElement("video");
  Object.assign(video, { srcObject: stream, autoplay: true, muted: true, playsInline: true });
  const close = document.createElement("button");
  Object.assign(close, { type: "button", className: "button", textContent: field.dataset.close });
  close.addEventListener("click", () => dialog.close());
  dialog.className = "scanning";
  dialog.setAttribute("aria-label", field.dataset.scan);
  dialog.append(video, close);
  document.body.append(dialog);
  dialog.showModal();
  return { dialog, video };
}

async function read(video, dialog) {
  const detector = new BarcodeDetector();
  while (dialog.open) {
    const codes = await detector.detect(video).catch(() => []); // no picture yet
    if (codes.length) return codes[0].rawValue;
    await new Promise((next) => setTimeout(next, EVERY_MS));
  }
  return "";
}
