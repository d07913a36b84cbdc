// In the field: a cause is one tap, and where one stands is read from the phone where the browser lets it be.

/** Listen for chips that choose, and offer scan and position only where they work. */
export function startField() {
  document.addEventListener("click", (event) => {
    choose(event.target.closest?.("[data-picks]"));
    locate(event.target.closest?.("[data-locates]"));
  });
  document.addEventListener("change", scan);
  offer(document);
  document.addEventListener("htmx:after:settle", () => offer(document));
}

function choose(chip) {
  const field = chip && document.getElementById(chip.dataset.picks);
  if (!field) return;
  field.value = chip.dataset.choice;
  for (const other of chip.parentElement.children) other.setAttribute("aria-pressed", String(other === chip));
}

// Position and codes need a secure context: elsewhere there is the field to write in.
function offer(root) {
  const can = { locates: window.isSecureContext && "geolocation" in navigator, scans: "BarcodeDetector" in window };
  for (const [name, works] of Object.entries(can)) {
    for (const one of root.querySelectorAll(`[data-${name}]`)) one.closest("[data-offered]").hidden = !works;
  }
}

function locate(button) {
  const field = button && document.getElementById(button.dataset.locates);
  if (!field) return;
  navigator.geolocation.getCurrentPosition(
    ({ coords }) => {
      field.value = `${coords.latitude.toFixed(5)}, ${coords.longitude.toFixed(5)} (±${Math.round(coords.accuracy)} m)`;
    },
    () => field.focus(),
    { enableHighAccuracy: true, timeout: 10_000, maximumAge: 30_000 },
  );
}

async function scan(event) {
  const { scans } = event.target.dataset ?? {};
  const field = scans && document.getElementById(scans);
  if (!field || !event.target.files.length) return;
  const picture = await createImageBitmap(event.target.files[0]);
  const [found] = await new window.BarcodeDetector().detect(picture).catch(() => []);
  if (found) field.value = found.rawValue;
  event.target.value = "";
  field.focus();
}
