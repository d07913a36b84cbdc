// A photo is made small before it is sent: a phone's 5 MB become some hundred kB, and its position data is left out.

const LONGEST_SIDE = 1600;
const QUALITY = 0.82;

/** Shrink what is chosen in `input[data-photo]`; what the browser cannot read is sent as it is, for the server to judge. */
export function startPhotos() {
  document.addEventListener("change", async (event) => {
    const field = event.target;
    if (!field.matches?.("input[type=file][data-photo]")) return;
    const chosen = [...field.files];
    const small = await Promise.all(chosen.map((file) => shrink(file).catch(() => file)));
    const carrier = new DataTransfer();
    for (const file of small) carrier.items.add(file);
    field.files = carrier.files;
  });
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
