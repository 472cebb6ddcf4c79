/** Keyboard of the page: Ctrl+Enter generates (a running job is followed by the new one), Alt+Enter skips, Esc interrupts. */
import { press } from "./dom.js";
import { shownPage } from "./generation_page.js";

/** @param {import("./live.js").Live} live @param {import("./steering.js").Steering} steering */
export function startKeys(live, steering) {
  document.addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]") || event.isComposing) return;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) press(`${shownPage()}_generate`);
    else if (event.key === "Enter" && event.altKey) steering.steer("skip");
    // An open list of choices closes on Esc, and that must not cost a picture.
    else if (event.key === "Escape" && live.running() && !document.querySelector("[role=listbox]")) steering.steer("interrupt");
    else return;
    event.preventDefault();
    event.stopPropagation();
  }, true);
}
