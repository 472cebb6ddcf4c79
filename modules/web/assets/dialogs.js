/** Dialogs over the page: a frame with a title and a close button, and a question with two answers. */
import { h } from "./dom.js";

/**
 * Make a dialog and add it to the page, closed. A click beside it closes it; Esc does so by itself.
 * @param {string} title @param {string} name its CSS class @param {...(Node | null)} content
 */
export function makeDialog(title, name, ...content) {
  const close = h("button", { type: "button", class: "easel-quiet", "aria-label": "Close", onclick: () => dialog.close() }, "✕");
  const head = h("div", { class: "easel-dialog-head" }, h("h2", {}, title), close);
  const frame = h("div", { class: "easel-dialog-frame" }, head, ...content);
  const dialog = /** @type {HTMLDialogElement} */ (h("dialog", { class: `easel-dialog ${name}`, "aria-label": title }, frame));
  let pressedBeside = false;
  dialog.addEventListener("pointerdown", (event) => (pressedBeside = event.target === dialog));
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog && pressedBeside) dialog.close();
  });
  document.body.append(dialog);
  return dialog;
}

/** Ask something; answers whether the user agreed. @param {string} question @param {string} agree text of the button */
export function ask(question, agree) {
  return /** @type {Promise<boolean>} */ (new Promise((resolve) => {
    const button = (/** @type {string} */ text, /** @type {string} */ answer) =>
      h("button", { type: "button", class: "easel-button", "data-answer": answer, onclick: () => dialog.close(answer) }, text);
    const dialog = makeDialog(question, "easel-ask", h("div", { class: "easel-dialog-actions" }, button("Cancel", ""), button(agree, "yes")));
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
    dialog.showModal();
  }));
}
