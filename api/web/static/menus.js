// The menu of further places closes when one clicks beside it or presses Escape.

/** Listen for both. */
export function startMenus() {
  document.addEventListener("click", (event) => {
    const menu = document.getElementById("more");
    if (menu?.open && !menu.contains(event.target)) menu.open = false;
  });
  document.addEventListener("keydown", (event) => {
    const menu = document.getElementById("more");
    if (event.key !== "Escape" || !menu?.open) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });
}
