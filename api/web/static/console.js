// Starts what a page needs: live hints, keys, tabs, charts, forms. Pages also work without any of it, save the charts.

import { drawCharts, watchCharts } from "./charts.js";
import { startFresh } from "./fresh.js";
import { startKeys } from "./keys.js";
import { startLive } from "./live.js";
import { startMenus } from "./menus.js";
import { startField } from "./field.js";
import { startForms } from "./forms.js";
import { startOutbox } from "./outbox.js";
import { startScans } from "./scan.js";
import { startSignatures } from "./signature.js";
import { showTabs, watchTabs } from "./tabs.js";

const furnish = (root) => {
  showTabs(root);
  drawCharts(root);
};

startKeys();
startMenus();
startForms();
startSignatures();
startScans();
startField();
startOutbox();
watchTabs();
watchCharts();
startFresh();
startLive();
furnish(document);
document.addEventListener("htmx:after:settle", () => furnish(document));
