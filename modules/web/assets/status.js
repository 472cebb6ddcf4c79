/** The top of the page: what the selector's checkpoint is doing, the connection, light or dark, sign out. */
import { applyDefaults } from "./checkpoint_defaults.js";
import { h, press, whenPresent } from "./dom.js";

export class StatusView {
  /**
   * @param {import("./live.js").Live} live @param {import("./form.js").Form[]} forms
   * @param {import("./messages.js").Messages} messages @param {boolean} signedIn
   */
  constructor(live, forms, messages, signedIn) {
    this.live = live;
    this.forms = forms;
    this.messages = messages;
    this.dot = h("span", { class: "easel-dot" });
    this.text = h("span", { class: "easel-status-text" });
    const scheme = h("button", {
      type: "button", class: "easel-round", title: "Light or dark", "aria-label": "Light or dark",
      onclick: () => document.dispatchEvent(new Event("easel:toggle-scheme")),
    }, "◐");
    const signOut = signedIn
      ? h("form", { method: "post", action: "/logout" }, h("button", { class: "easel-quiet" }, "Sign out")) : null;
    this.box = h("div", { class: "easel-status" }, this.dot, this.text, scheme, signOut);
    this.note = h("div", { class: "easel-checkpoint-note" });
    this.title = "";
    /** The title of the checkpoint that is chosen. */
    this.chosen = "";
  }

  start() {
    whenPresent("#easel_status", (root) => root.replaceChildren(this.box));
    whenPresent("#easel_checkpoint_note", (root) => root.replaceChildren(this.note));
    this.live.on("change", () => this.#show());
    this.live.on("connection", () => this.#show());
    document.addEventListener("click", (event) => {
      const inside = event.target instanceof Node && this.note.contains(event.target);
      if (!inside) this.note.querySelector("details")?.removeAttribute("open");
    });
  }

  /** Called by Gradio with the selector's state. @param {string} text */
  show(text) {
    const state = JSON.parse(text);
    this.chosen = state.title;
    if (state.problem) this.messages.note(state.problem, "error");
    const lines = state.unusable.map((/** @type {{title: string, reason: string}} */ each) =>
      h("li", {}, h("b", {}, each.title), ` — ${each.reason}`));
    const summary = lines.length === 1 ? "1 file cannot be used" : `${lines.length} files cannot be used`;
    this.note.replaceChildren(
      ...(state.problem ? [h("p", { class: "easel-error-text", role: "alert" }, state.problem)] : []),
      ...(lines.length ? [h("details", {}, h("summary", {}, summary), h("ul", {}, ...lines))] : []),
    );
    document.documentElement.toggleAttribute("data-easel-edits", state.edits);
    document.documentElement.toggleAttribute("data-easel-depth", state.depth);
    for (const form of this.forms) {
      form.follow(state.native_size);
      if (state.defaults) applyDefaults(form, state.defaults);
    }
  }

  /** Let the selector show what is chosen on the server now. */
  sync() {
    press("easel_checkpoint_sync");
  }

  #show() {
    const { engine, model, connected } = this.live;
    const [state, text] = !connected ? ["lost", "Connecting…"]
      : engine.state === "failed" ? ["failed", `The engine failed: ${engine.detail}`]
      : model.state === "failed" ? ["failed", model.stage || "The model could not be loaded"]
      : model.state === "loading" ? ["busy", `Loading ${Math.round(model.fraction * 100)} %${model.stage ? ` · ${model.stage}` : ""}`]
      : engine.state === "starting" ? ["busy", "Starting the engine…"]
      : ["ready", "Ready"];
    this.dot.dataset.state = state;
    this.text.textContent = text;
    this.text.title = text;
    if (model.state === "ready" && model.title !== this.title) {
      this.title = model.title;
      this.sync();
    }
  }
}
