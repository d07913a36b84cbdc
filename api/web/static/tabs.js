// Tabs out of stacked sections: without scripts all sections show, with them one does, and it stays the chosen one.

const chosen = new Map();

/** Listen for clicks and arrow keys on tabs. */
export function watchTabs() {
  document.addEventListener("click", (event) => {
    const tab = event.target.closest("[role=tab]");
    if (tab) choose(tab);
  });
  document.addEventListener("keydown", (event) => {
    const tab = event.target.closest?.("[role=tab]");
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!tab || !step) return;
    const all = [...tab.parentElement.children];
    const next = all[(all.indexOf(tab) + step + all.length) % all.length];
    choose(next);
    next.focus();
    event.preventDefault();
  });
}

/** Show the chosen tab of each list, the first one at first. */
export function showTabs(root) {
  for (const list of root.querySelectorAll("[role=tablist]")) {
    list.hidden = false;
    const wanted = chosen.get(list.id);
    const tabs = [...list.children];
    select(tabs.find((tab) => tab.id === wanted) ?? tabs[0]);
  }
}

function choose(tab) {
  chosen.set(tab.parentElement.id, tab.id);
  select(tab);
  window.dispatchEvent(new Event("resize"));
}

function select(tab) {
  for (const other of tab.parentElement.children) {
    const on = other === tab;
    other.setAttribute("aria-selected", String(on));
    other.tabIndex = on ? 0 : -1;
    const panel = document.getElementById(other.getAttribute("aria-controls"));
    if (panel) panel.hidden = !on;
  }
}
