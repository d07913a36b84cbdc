// The menu of a card opens over the board; without this it is a page of its own.

document.addEventListener("click", async (event) => {
  const opener = event.target.closest?.(".t > a.n");
  const menu = document.getElementById("menu");
  if (event.target.closest?.("[data-closes]") && menu?.open) {
    event.preventDefault();
    menu.close();
  }
  if (!opener || !menu || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const answer = await fetch(opener.href);
  const moves = answer.ok && new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("moves");
  if (!moves) return location.assign(opener.href);
  menu.replaceChildren(moves);
  menu.showModal();
});
