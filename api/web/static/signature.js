// A signature drawn with a finger or a mouse; the picture goes with its form as text. Nothing drawn, nothing sent.

const INK = "#111";

/** Listen for drawing on the page's signature fields. */
export function startSignatures() {
  document.addEventListener("pointerdown", begin);
  document.addEventListener("pointermove", draw);
  document.addEventListener("pointerup", keep);
  document.addEventListener("click", wipe);
}

const fieldOf = (event) => event.target.closest?.("canvas[data-signs]");

let last = null;

function begin(event) {
  const field = fieldOf(event);
  if (!field) return;
  event.preventDefault();
  field.setPointerCapture(event.pointerId);
  const pen = field.getContext("2d");
  if (!document.getElementById(field.dataset.signs).value) {
    pen.fillStyle = "#fff"; // a JPEG has no transparency: what is not drawn on would turn black
    pen.fillRect(0, 0, field.width, field.height);
  }
  last = placeIn(field, event);
}

function draw(event) {
  const field = last && fieldOf(event);
  if (!field) return;
  const pen = field.getContext("2d");
  const next = placeIn(field, event);
  Object.assign(pen, { strokeStyle: INK, lineWidth: 4, lineCap: "round" });
  pen.beginPath();
  pen.moveTo(...last);
  pen.lineTo(...next);
  pen.stroke();
  last = next;
}

function keep(event) {
  const field = last && fieldOf(event);
  last = null;
  if (field) document.getElementById(field.dataset.signs).value = field.toDataURL("image/png");
}

function wipe(event) {
  const field = event.target.closest?.("[data-wipes]")?.closest("form").querySelector("canvas[data-signs]");
  if (!field) return;
  field.getContext("2d").clearRect(0, 0, field.width, field.height);
  document.getElementById(field.dataset.signs).value = "";
}

function placeIn(field, event) {
  const box = field.getBoundingClientRect();
  return [((event.clientX - box.left) * field.width) / box.width, ((event.clientY - box.top) * field.height) / box.height];
}
