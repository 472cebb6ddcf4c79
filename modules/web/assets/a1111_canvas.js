/** Puts Easel's canvas in the place of the text boxes that stand for Gradio 3's picture boxes to paint on. */
import { PictureCanvas } from "./canvas.js";
import { debounce } from "./dom.js";

/** So often it is looked whether the server has put another picture in; Gradio sets values without an event. */
const LOOK_MS = 400;
const PAUSE_MS = 150;

/** @param {ParentNode} page @param {import("./messages.js").Messages} messages */
export function mountCanvases(page, messages) {
  for (const box of page.querySelectorAll(".a1111-canvas:not([data-canvas])")) {
    const text = box.querySelector("textarea, input");
    if (box instanceof HTMLElement && (text instanceof HTMLTextAreaElement || text instanceof HTMLInputElement)) mount(box, text, messages);
  }
}

/** @param {HTMLElement} box @param {HTMLTextAreaElement | HTMLInputElement} text @param {import("./messages.js").Messages} messages */
function mount(box, text, messages) {
  box.dataset.canvas = "mounted";
  const draws = box.classList.contains("a1111-canvas-colour") ? "colour" : "mask";
  const label = box.querySelector("[data-testid=block-info]")?.textContent?.trim() || "Picture";
  const canvas = new PictureCanvas({ name: `a1111_${box.id}`, draws, label, messages });
  const hidden = text.closest("label") ?? text;
  /** @type {HTMLElement} */ (hidden).hidden = true;
  /** @type {HTMLElement} */ (hidden).style.display = "none";
  box.append(canvas.element);
  let shown = "";
  const tell = debounce(async () => {
    try {
      const ids = await canvas.ids();
      const now = ids.picture ? JSON.stringify(ids) : "";
      if (now === shown) return;
      shown = text.value = now;
      text.dispatchEvent(new Event("input", { bubbles: true }));
    } catch (error) {
      messages.failure(error);
    }
  }, PAUSE_MS);
  for (const name of ["picture", "drawing"]) canvas.addEventListener(name, tell);
  const look = async () => {
    if (!box.isConnected) return;
    if (text.value !== shown) {
      shown = text.value;
      const { picture } = shown ? JSON.parse(shown) : { picture: "" };
      await (picture ? canvas.setPictureById(picture) : canvas.setPicture(null)).catch((error) => messages.failure(error));
    }
    setTimeout(look, LOOK_MS);
  };
  canvas.ready.then(() => { tell(); look(); });
}
