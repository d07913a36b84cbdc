// Forms: photos are made small before they are sent, empty filters stay out of addresses, what was said goes away again.

const LONGEST_SIDE = 1600;
const QUALITY = 0.82;

const SAID_FOR_MS = 12_000;

/** Listen to the forms of the page. */
export function startForms() {
  document.addEventListener("change", shrinkPhotos);
  document.addEventListener("click", fillIn);
  document.addEventListener("click", markOnPlot);
  document.addEventListener("input", slide);
  document.addEventListener("htmx:config:request", leaveOutWhatIsEmpty);
  document.addEventListener("htmx:after:settle", forgetWhatWasSaid);
  openWhatIsAimedAt();
  forgetWhatWasSaid();
}

function openWhatIsAimedAt() {
  const aim = location.hash && document.getElementById(location.hash.slice(1));
  if (!aim || !aim.matches("details")) return;
  aim.open = true;
  aim.querySelector("select, textarea, input:not([type=hidden]), button")?.focus();
}

// A phone's 5 MB become some hundred kB, and its position data is left out. What the browser cannot read is sent
// as it is, for the server to judge.
async function shrinkPhotos(event) {
  const field = event.target;
  if (!field.matches?.("input[type=file][data-photo]")) return;
  const small = await Promise.all([...field.files].map((file) => shrink(file).catch(() => file)));
  const carrier = new DataTransfer();
  for (const file of small) carrier.items.add(file);
  field.files = carrier.files;
}

// A reason that is often given is one click away, with what the ticket then was; both can still be changed.
function fillIn(event) {
  const pick = event.target.closest("[data-fills]");
  const field = pick && document.getElementById(pick.dataset.fills);
  if (!field) return;
  field.value = pick.textContent.trim();
  const choice = document.getElementById(pick.dataset.chooses);
  if (choice) choice.value = pick.dataset.choice;
  field.focus();
}

// A slider and the field beside it say the same.
function slide(event) {
  const other = document.getElementById(event.target.dataset?.with);
  if (other) other.value = event.target.value;
}

function markOnPlot(event) {
  const pick = event.target.closest("[data-marks]");
  document.querySelector(`#${pick?.dataset.marks ?? "none"} .plot`)?.dispatchEvent(new Event("andon:span"));
}

function leaveOutWhatIsEmpty(event) {
  const { method, body } = event.detail.ctx.request;
  if (method !== "GET" || !body?.entries) return;
  for (const [name, value] of [...body.entries()]) if (value === "") body.delete(name);
}

let forgetting = 0;
function forgetWhatWasSaid() {
  clearTimeout(forgetting);
  forgetting = setTimeout(() => document.getElementById("toast")?.replaceChildren(), SAID_FOR_MS);
}

async function shrink(file) {
  const picture = await createImageBitmap(file);
  const scale = Math.min(1, LONGEST_SIDE / Math.max(picture.width, picture.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(picture.width * scale);
  canvas.height = Math.round(picture.height * scale);
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
  return new File([blob], file.name.replace(/\.\w+$/, "") + ".jpg", { type: "image/jpeg" });
}
