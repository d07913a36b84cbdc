// The words that scripts say, given by the page in its language.

const element = document.getElementById("words");
const texts = element ? JSON.parse(element.textContent) : {};

/** The text of a key with its {arguments} filled in. */
export function t(key, values = {}) {
  return texts[key].replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}
