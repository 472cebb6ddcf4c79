/**
 * The txt2img form: kept in the browser's storage field by field, put back after a reload, and filled from a job.
 * Gradio hands over the values of all fields in the order of `fields` and takes them back in the same order.
 * @typedef {{name: string, element: string, label: string, help: string, default: any}} Field
 */
import { debounce, press, whenPresent } from "./dom.js";

const KEY = "easel.form.";
const SIZE_TOUCHED = KEY + "size_touched";
const SIZES = ["width", "height"];
const SEEDS = ["seed", "subseed"];
/** What a user can do to a field; Gradio takes the new value over a moment later. */
const TOUCHES = ["input", "change", "click", "pointerup", "keyup", "focusout"];
/** What Gradio takes for "leave this component alone". */
const UNCHANGED = { __type__: "update" };
const PLACES = "#txt2img_toprow, #txt2img_settings";
const PAUSE_MS = 40;
/** Until a slow machine has surely taken over what a button changed. */
const LONG_PAUSE_MS = 500;

export class Form extends EventTarget {
  /**
   * @param {Field[]} fields @param {number} nativeSize side in pixels that the current checkpoint is made for
   * @param {import("./folds.js").Folds} folds which fields are switched off
   */
  constructor(fields, nativeSize, folds) {
    super();
    this.fields = fields;
    this.nativeSize = nativeSize;
    this.folds = folds;
    /** @type {Record<string, any>} */
    this.values = Object.fromEntries(fields.map((field) => [field.name, field.default]));
    /** @type {Record<string, any>} */
    this.pending = {};
    this.restored = false;
    /** The values that Generate sends, as JSON. */
    this.collected = "[]";
    /** @type {Promise<void>} fulfilled once Gradio's events work: a click before that is lost */
    this.ready = new Promise((resolve) => (this.resolveReady = resolve));
  }

  start() {
    for (const field of this.fields) {
      whenPresent(`#${field.element}`, (element) => (element.title = field.help));
    }
    const asks = [PAUSE_MS, LONG_PAUSE_MS].map((pause) => debounce(() => this.restored && press("txt2img_remember"), pause));
    for (const type of TOUCHES) {
      document.addEventListener(type, (event) => {
        if (event.target instanceof Element && event.target.closest(PLACES)) asks.forEach((ask) => ask());
      }, true);
    }
    this.folds.addEventListener("change", () => this.dispatchEvent(new Event("change")));
    const sizes = this.fields.filter((field) => SIZES.includes(field.name)).map((field) => `#${field.element}`);
    const places = [...sizes, "#txt2img_res_switch_btn"].join(",");
    for (const type of ["input", "click"]) {
      document.addEventListener(type, (event) => {
        const inside = event.target instanceof Element && event.target.closest(places);
        if (inside && (type === "input" || inside.id === "txt2img_res_switch_btn")) this.#touchSize();
      }, true);
    }
  }

  /** Called by Gradio once the page is there: what was on the form before, where that is not what it shows. @param {any[]} current */
  restore(current) {
    const kept = this.fields.map((field, place) => this.#kept(field.name) ?? current[place]);
    this.restored = true;
    this.#accept(kept);
    this.resolveReady();
    return kept.map((value, place) => (same(value, current[place]) ? UNCHANGED : value));
  }

  /** Called by Gradio when the hidden button is pressed. @param {any[]} values */
  remember(values) {
    const differs = values.some((value, place) => !same(value, this.values[this.fields[place].name]));
    if (this.restored && differs) this.#accept(values);
  }

  /** Called by Gradio when the hidden button asks for new values. @param {any[]} current */
  fill(current) {
    const values = this.fields.map((field, place) => this.pending[field.name] ?? current[place]);
    this.pending = {};
    this.#accept(values);
    return values;
  }

  /** Called by Gradio when Generate is pressed: what is switched off is sent as if untouched. @param {any[]} values */
  collect(values) {
    const held = Object.fromEntries(this.fields.map((field, place) => [field.name, values[place]]));
    const silent = this.folds.silenced(held);
    this.collected = JSON.stringify(values.map((value, place) =>
      (silent.has(this.fields[place].name) ? this.fields[place].default : value)));
  }

  /** Return the values as our routes take them. @param {boolean} [hires] with the hires values though hires is off */
  requestValues(hires = false) {
    const silent = this.folds.silenced(hires ? { ...this.values, enable_hr: true } : this.values);
    return Object.fromEntries(this.fields.map((field) =>
      [field.name, silent.has(field.name) ? field.default : this.values[field.name]]));
  }

  /** Put values into the form. @param {Record<string, any>} values */
  set(values) {
    if (SIZES.some((name) => name in values)) this.#touchSize();
    const changed = Object.entries(values).filter(([name, value]) => {
      const field = this.fields.find((each) => each.name === name);
      return field && !same(SEEDS.includes(name) ? String(value) : value, field.default);
    });
    this.folds.fit(Object.keys(values), changed.map(([name]) => name));
    this.#put(values);
  }

  /** Let the size follow the checkpoint, unless the user has set one. @param {number} size */
  follow(size) {
    this.nativeSize = size;
    if (!this.restored || this.#sizeTouched()) return;
    if (SIZES.some((name) => this.values[name] !== size)) this.#put({ width: size, height: size });
  }

  /** @param {Record<string, any>} values */
  #put(values) {
    const names = this.fields.map((field) => field.name);
    for (const [name, value] of Object.entries(values)) {
      if (names.includes(name)) this.pending[name] = SEEDS.includes(name) ? String(value) : value;
    }
    press("txt2img_fill");
  }

  /** Keep what has changed; a number box that is empty just now keeps what it held. @param {any[]} values */
  #accept(values) {
    this.fields.forEach((field, place) => {
      const value = values[place];
      if (same(value, this.values[field.name])) return;
      this.values[field.name] = value;
      const followsCheckpoint = SIZES.includes(field.name) && !this.#sizeTouched();
      if (followsCheckpoint || value === null || value === undefined) return;
      if (same(value, field.default)) localStorage.removeItem(KEY + field.name);
      else localStorage.setItem(KEY + field.name, JSON.stringify(value));
    });
    this.dispatchEvent(new Event("change"));
  }

  /** @param {string} name */
  #kept(name) {
    if (SIZES.includes(name) && !this.#sizeTouched()) return this.nativeSize;
    const text = localStorage.getItem(KEY + name);
    try {
      return text === null ? null : JSON.parse(text);
    } catch {
      return null;
    }
  }

  #sizeTouched() {
    return localStorage.getItem(SIZE_TOUCHED) === "yes";
  }

  /** From now on both sizes are the user's own, the one that was not touched too. */
  #touchSize() {
    if (this.#sizeTouched()) return;
    localStorage.setItem(SIZE_TOUCHED, "yes");
    for (const name of SIZES) localStorage.setItem(KEY + name, JSON.stringify(this.values[name]));
  }
}

/** Whether two values of a field are equal; some fields hold lists. @param {any} one @param {any} other */
function same(one, other) {
  return one === other || (Array.isArray(one) && JSON.stringify(one) === JSON.stringify(other));
}
