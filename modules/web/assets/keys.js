/** Keyboard of the page: Ctrl+Enter generates (a running job is followed by the new one), Alt+Enter skips, Esc interrupts. */
import { press } from "./dom.js";

/** @param {import("./live.js").Live} live @param {import("./progress.js").ProgressView} progress */
export function startKeys(live, progress) {
  document.addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]") || event.isComposing) return;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) press("txt2img_generate");
    else if (event.key === "Enter" && event.altKey) progress.steer("skip");
    // An open list of choices closes on Esc, and that must not cost a picture.
    else if (event.key === "Escape" && live.running() && !document.querySelector("[role=listbox]")) progress.steer("interrupt");
    else return;
    event.preventDefault();
    event.stopPropagation();
  }, true);
}
