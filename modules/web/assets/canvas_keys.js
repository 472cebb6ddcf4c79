/** Keys over a canvas: those of A1111's canvas zoom, and those that painters know from elsewhere. */

/** Fields in which these keys are letters. */
const TYPED_INTO = "textarea, select, [contenteditable=true], input:not([type=range], [type=checkbox], [type=radio], [type=color], [type=file])";
const BRUSH_STEP = 1.12;
const HARDER = 0.1;

export class Keys {
  /** @param {import("./canvas.js").PictureCanvas} canvas @param {Element} view over which the keys act */
  constructor(canvas, view) {
    this.canvas = canvas;
    this.view = view;
    /** @type {Set<string>} */
    this.held = new Set();
    // On the window, so as to come before the page's own keys, which listen on the document.
    window.addEventListener("keydown", (event) => this.#down(event), true);
    window.addEventListener("keyup", (event) => this.#up(event), true);
    window.addEventListener("blur", () => this.held.clear());
  }

  /** Say whether a key is held down now. @param {"Space" | "KeyF" | "Control"} key */
  holds(key) {
    return this.held.has(key);
  }

  get #listening() {
    const focused = document.activeElement;
    if (focused?.matches(TYPED_INTO) || document.querySelector("dialog[open]")) return false;
    return this.canvas.isLarge || this.view.matches(":hover");
  }

  /** @param {KeyboardEvent} event */
  #down(event) {
    if (event.key === "Control") this.held.add("Control");
    if (event.isComposing || !this.canvas.element.isConnected || !this.#listening) return;
    const action = this.#action(event);
    if (!action) return;
    event.preventDefault();
    event.stopPropagation();
    action();
  }

  /** @param {KeyboardEvent} event */
  #up(event) {
    if (event.key === "Control") this.held.delete("Control");
    const held = this.held.delete(event.code);
    if (event.code === "Space" || event.code === "KeyF") delete this.canvas.view.element.dataset.hand;
    // Else the button that has the focus would be pressed by the space that panned.
    if (held && event.code === "Space") event.preventDefault();
  }

  /** @param {KeyboardEvent} event @returns {(() => void) | null} */
  #action(event) {
    const { canvas } = this;
    if (!canvas.size()) return this.#always(event);
    if (event.ctrlKey || event.metaKey) return event.altKey ? null : this.#withControl(event);
    if (event.altKey) return null;
    if (event.code === "Space" || event.code === "KeyF") return () => this.#hold(event.code);
    /** @type {Record<string, () => void>} */
    const view = { KeyR: () => canvas.view.fit(), KeyO: () => canvas.view.fit(), Digit0: () => canvas.view.fit(), Digit1: () => canvas.view.zoom(1) };
    const drawing = canvas.canDraw ? this.#drawing(event) : {};
    return drawing[event.code] ?? view[event.code] ?? this.#always(event);
  }

  /** @param {KeyboardEvent} event @returns {Record<string, () => void>} */
  #drawing(event) {
    const { canvas } = this;
    const resize = (/** @type {number} */ factor, /** @type {number} */ harder) => (event.shiftKey ? canvas.tools.harden(harder) : canvas.tools.resize(factor));
    return {
      KeyQ: () => canvas.tools.resize(1 / BRUSH_STEP), KeyW: () => canvas.tools.resize(BRUSH_STEP),
      BracketLeft: () => resize(1 / BRUSH_STEP, -HARDER), BracketRight: () => resize(BRUSH_STEP, HARDER),
      KeyB: () => canvas.tools.set({ tool: "brush" }), KeyE: () => canvas.tools.set({ tool: "eraser" }), KeyG: () => canvas.tools.set({ tool: "fill" }), KeyL: () => canvas.tools.set({ tool: "lasso" }),
      ...(canvas.draws === "colour" ? { KeyI: () => canvas.tools.set({ tool: "pick" }) } : {}),
    };
  }

  /** @param {KeyboardEvent} event @returns {(() => void) | null} */
  #always(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return null;
    if (event.code === "Escape" && this.canvas.tools.isDrawing) return () => this.canvas.giveUp();
    if (event.code === "KeyS") return () => this.canvas.enlarge(!this.canvas.isLarge);
    return event.code === "Escape" && this.canvas.isLarge ? () => this.canvas.enlarge(false) : null;
  }

  /** @param {KeyboardEvent} event @returns {(() => void) | null} */
  #withControl(event) {
    const { canvas } = this;
    const key = event.key.toLowerCase();
    if (key === "z") return event.shiftKey ? () => canvas.redo() : () => canvas.undo();
    return key === "y" ? () => canvas.redo() : null;
  }

  /** @param {string} code */
  #hold(code) {
    this.held.add(code);
    this.canvas.view.element.dataset.hand = "yes";
  }
}
