/** Mouse, pen, fingers and wheel over a canvas: drawing, panning, zooming. */

/** How far, in CSS pixels, and how long fingers may take to count as a tap. */
const TAP_PIXELS = 12;
const TAP_MS = 350;
/** A stroke of a finger that went no further than this was the beginning of a gesture with two. */
const SLIP_PIXELS = 24;
/** For this long after a pen was there, fingers pan: a hand rests on the screen. */
const PALM_MS = 1000;
const WHEEL_ZOOM = 1.0015;
const PINCH_ZOOM = 1.01;
const BRUSH_STEP = 1.08;
const LINE_PIXELS = 16;
const ERASER_BUTTON = 32;

export class Pointer {
  /**
   * @param {import("./canvas.js").PictureCanvas} canvas @param {import("./canvas_view.js").View} view
   * @param {import("./canvas_tools.js").Tools} tools @param {import("./canvas_keys.js").Keys} keys
   */
  constructor(canvas, view, tools, keys) {
    this.canvas = canvas;
    this.view = view;
    this.tools = tools;
    this.keys = keys;
    /** @type {Map<number, {x: number, y: number}>} fingers that are down, by their number */
    this.fingers = new Map();
    /** @type {{started: number, most: number, moved: number} | null} */
    this.gesture = null;
    /** @type {number | null} the pointer that draws */
    this.drawing = null;
    /** @type {{id: number, x: number, y: number} | null} the pointer that pans */
    this.panning = null;
    this.travelled = 0;
    this.penSeen = -Infinity;
    /** @type {PointerEvent | null} where the mouse or pen is over the view */
    this.hover = null;
    const listen = (/** @type {string} */ type, /** @type {(event: any) => void} */ handle) => view.element.addEventListener(type, handle, { passive: false });
    listen("pointerdown", (event) => this.#down(event));
    listen("pointermove", (event) => this.#move(event));
    for (const type of ["pointerup", "pointercancel"]) listen(type, (event) => this.#up(event));
    listen("pointerleave", () => this.#hovered(null));
    listen("wheel", (event) => this.#wheel(event));
    // A long press of a finger is a stroke here.
    listen("contextmenu", (event) => event.pointerType !== "mouse" && event.preventDefault());
    // The middle button would start the browser's own scrolling.
    listen("mousedown", (event) => event.button === 1 && event.preventDefault());
  }

  /** @param {PointerEvent} event */
  #down(event) {
    if (!this.view.picture || (event.target instanceof Element && event.target.closest("button"))) return;
    // The keys are the canvas's from now on, not those of the field that was typed into.
    if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
    if (event.pointerType === "touch") this.#fingerDown(event);
    else if (event.button === 1 || (event.button === 0 && this.keys.holds("Space"))) this.#startPan(event);
    else if (event.button === 0 || (event.buttons & ERASER_BUTTON)) this.#startStroke(event);
  }

  /** @param {PointerEvent} event */
  #startStroke(event) {
    if (!this.canvas.canDraw) return this.#startPan(event);
    event.preventDefault();
    this.view.element.setPointerCapture(event.pointerId);
    this.drawing = event.pointerId;
    this.travelled = 0;
    const erase = Boolean(event.buttons & ERASER_BUTTON);
    this.tools.down(this.#touch(event), { erase, straight: event.shiftKey, pick: event.altKey && this.canvas.draws === "colour" });
    this.#hovered(event);
  }

  /** @param {PointerEvent} event */
  #startPan(event) {
    event.preventDefault();
    this.view.element.setPointerCapture(event.pointerId);
    this.panning = { id: event.pointerId, x: event.clientX, y: event.clientY };
    this.view.element.dataset.panning = "yes";
  }

  /** @param {PointerEvent} event */
  #fingerDown(event) {
    this.fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (this.fingers.size === 1) {
      this.gesture = null;
      const palm = event.timeStamp - this.penSeen < PALM_MS;
      // A picture that nothing is drawn on and that is seen as a whole leaves one finger to the page, which scrolls.
      if (palm || (!this.canvas.canDraw && this.view.fitted)) return;
      this.#startStroke(event);
      return;
    }
    if (this.fingers.size === 2) this.#startGesture(event);
    if (this.gesture) this.gesture.most = Math.max(this.gesture.most, this.fingers.size);
  }

  /** @param {PointerEvent} event */
  #startGesture(event) {
    event.preventDefault();
    if (this.drawing !== null) {
      if (this.travelled < SLIP_PIXELS) this.tools.cancel();
      else this.tools.up();
    }
    this.drawing = null;
    this.panning = null;
    for (const id of this.fingers.keys()) this.view.element.setPointerCapture(id);
    this.gesture = { started: event.timeStamp, most: 2, moved: 0 };
    this.canvas.stage.guide([]);
  }

  /** @param {PointerEvent} event */
  #move(event) {
    if (event.pointerType === "pen") this.penSeen = event.timeStamp;
    const finger = this.fingers.get(event.pointerId);
    if (this.gesture && finger) this.#pinch(event, finger);
    else if (this.panning?.id === event.pointerId) {
      this.view.pan(event.clientX - this.panning.x, event.clientY - this.panning.y);
      this.panning = { id: event.pointerId, x: event.clientX, y: event.clientY };
    } else if (this.drawing === event.pointerId) this.#draw(event);
    else if (this.keys.holds("KeyF") && event.pointerType === "mouse") this.view.pan(event.movementX, event.movementY);
    if (finger) this.fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    this.#hovered(event.pointerType === "touch" ? null : event);
  }

  /** @param {PointerEvent} event */
  #draw(event) {
    const events = event.getCoalescedEvents?.() ?? [];
    const touches = (events.length ? events : [event]).map((each) => this.#touch(each));
    this.travelled += Math.hypot(event.movementX, event.movementY);
    this.tools.move(touches);
    if (this.tools.outline.length) this.canvas.stage.guide(this.tools.outline);
  }

  /** @param {PointerEvent} event @param {{x: number, y: number}} before */
  #pinch(event, before) {
    const others = [...this.fingers].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
    const other = others[0];
    if (!this.gesture || !other || this.fingers.size > 2) return;
    const now = { x: event.clientX, y: event.clientY };
    this.gesture.moved += Math.hypot(now.x - before.x, now.y - before.y);
    if (this.gesture.moved < TAP_PIXELS) return;
    const middle = { clientX: (now.x + other.x) / 2, clientY: (now.y + other.y) / 2 };
    const growth = Math.hypot(now.x - other.x, now.y - other.y) / Math.max(Math.hypot(before.x - other.x, before.y - other.y), 1);
    this.view.pan((now.x - before.x) / 2, (now.y - before.y) / 2);
    this.view.zoom(this.view.scale * growth, this.view.inView(middle));
  }

  /** @param {PointerEvent} event */
  #up(event) {
    this.fingers.delete(event.pointerId);
    if (this.panning?.id === event.pointerId) {
      this.panning = null;
      delete this.view.element.dataset.panning;
    }
    if (this.drawing === event.pointerId) {
      this.drawing = null;
      this.tools.up();
      this.canvas.stage.guide([]);
    }
    if (!this.gesture || this.fingers.size) return;
    const { started, most, moved } = this.gesture;
    this.gesture = null;
    if (event.type === "pointercancel" || moved >= TAP_PIXELS * most || event.timeStamp - started > TAP_MS) return;
    if (most === 2) this.canvas.undo();
    if (most === 3) this.canvas.redo();
  }

  /** @param {PointerEvent | null} event */
  #hovered(event) {
    this.hover = event;
    this.canvas.stage.cursor(event && this.view.picture ? this.view.inView(event) : null);
  }

  /** @param {PointerEvent} event @returns {import("./canvas_tools.js").Touch} */
  #touch(event) {
    return { ...this.view.inPicture(event), pressure: event.pointerType === "pen" ? event.pressure : 1 };
  }

  /** @param {WheelEvent} event */
  #wheel(event) {
    if (!this.view.picture) return;
    const unit = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? LINE_PIXELS : 1;
    const down = (event.deltaY || event.deltaX) * unit;
    const at = this.view.inView(event);
    // Two fingers on a touchpad come as a wheel with Ctrl that no key was pressed for.
    const pinches = event.ctrlKey && !this.keys.holds("Control");
    if (pinches) this.view.zoom(this.view.scale * PINCH_ZOOM ** -down, at);
    else if (event.ctrlKey && this.canvas.canDraw) this.tools.resize(down < 0 ? BRUSH_STEP : 1 / BRUSH_STEP);
    else if (event.shiftKey) this.view.pan(-down, 0);
    else if (event.altKey || this.canvas.isLarge) this.view.zoom(this.view.scale * WHEEL_ZOOM ** -down, at);
    else return;
    event.preventDefault();
  }
}
