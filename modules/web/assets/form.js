/**
 * A generation tab's form: kept in the browser's storage field by field, put back after a reload, and filled from a job.
 * Gradio hands over the values of all fields in the order of `fields` and takes them back in the same order.
 * @typedef {{name: string, element: string, label: string, help: string, default: any,
 *   plugin?: {name: string, parameter: string, switches: boolean, kind: string}, offeredBy?: string}} Field
 */
import { debounce, press, whenPresent } from "./dom.js";

const SIZES = ["width", "height"];
const SEEDS = ["seed", "subseed"];
/** What a user can do to a field; Gradio takes the new value over a moment later. */
const TOUCHES = ["input", "change", "click", "pointerup", "keyup", "focusout"];
/** What Gradio takes for "leave this component alone". */
const UNCHANGED = { __type__: "update" };
const PAUSE_MS = 40;
/** Until a slow machine has surely taken over what a button changed. */
const LONG_PAUSE_MS = 500;

export class Form extends EventTarget {
  /**
   * @param {string} page @param {Field[]} fields @param {number} nativeSize side in pixels that the current checkpoint is made for
   * @param {import("./folds.js").Folds} folds which fields are switched off
   */
  constructor(page, fields, nativeSize, folds) {
    super();
    this.page = page;
    this.key = page === "txt2img" ? "easel.form." : `easel.form.${page}.`;
    this.sizeTouchedKey = this.key + "size_touched";
    this.fields = fields;
    this.nativeSize = nativeSize;
    this.folds = folds;
    /** @type {Record<string, any>} */
    this.values = Object.fromEntries(fields.map((field) => [field.name, field.default]));
    /** @type {Record<string, any>} */
    this.pending = {};
    this.restored = false;
    /** The values that Generate sends, as JSON; empty when they could not be had. */
    this.collected = "";
    /** @type {(values: Record<string, any>) => Promise<Record<string, any> | null>} what is sent besides the fields, null: nothing is sent */
    this.more = async () => ({});
    /** @type {Promise<void>} fulfilled once Gradio's events work: a click before that is lost */
    this.ready = new Promise((resolve) => (this.resolveReady = resolve));
  }

  start() {
    for (const field of this.fields) {
      whenPresent(`#${field.element}`, (element) => (element.title = field.help));
    }
    const asks = [PAUSE_MS, LONG_PAUSE_MS].map((pause) => debounce(() => this.restored && press(`${this.page}_remember`), pause));
    const places = `#${this.page}_toprow, #${this.page}_settings`;
    for (const type of TOUCHES) {
      document.addEventListener(type, (event) => {
        if (event.target instanceof Element && event.target.closest(places)) asks.forEach((ask) => ask());
      }, true);
    }
    this.folds.addEventListener("change", () => this.dispatchEvent(new Event("change")));
    const sizes = this.fields.filter((field) => SIZES.includes(field.name)).map((field) => `#${field.element}`);
    const swap = `${this.page}_res_switch_btn`;
    const sized = [...sizes, `#${swap}`].join(",");
    for (const type of ["input", "click"]) {
      document.addEventListener(type, (event) => {
        const inside = event.target instanceof Element && event.target.closest(sized);
        if (inside && (type === "input" || inside.id === swap)) this.#touchSize();
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
  async collect(values) {
    this.collected = "";
    const held = this.#spoken(Object.fromEntries(this.fields.map((field, place) => [field.name, values[place]])));
    const more = await this.more(held);
    if (more) this.collected = JSON.stringify({ ...held, ...more });
  }

  /** Return the values as our routes take them. @param {boolean} [hires] with the hires values though hires is off */
  requestValues(hires = false) {
    return this.#spoken(this.values, hires);
  }

  /** @param {Record<string, any>} values @param {boolean} [hires] */
  #spoken(values, hires = false) {
    const silent = this.folds.silenced(hires ? { ...values, enable_hr: true } : values);
    return Object.fromEntries(this.fields.map((field) => [field.name, silent.has(field.name) ? field.default : values[field.name]]));
  }

  /** Put values into the form. @param {Record<string, any>} values */
  set(values) {
    if (SIZES.some((name) => name in values)) this.#touchSize();
    if ("mask_blur_x" in values && values.mask_blur_y === values.mask_blur_x) values = { ...values, mask_blur_y: null };
    const changed = Object.entries(values).filter(([name, value]) => {
      const field = this.fields.find((each) => each.name === name);
      return field && value !== null && !same(SEEDS.includes(name) ? String(value) : value, field.default);
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
    press(`${this.page}_fill`);
  }

  /** Keep what has changed; a number box that is empty just now keeps what it held. @param {any[]} values */
  #accept(values) {
    this.fields.forEach((field, place) => {
      const value = values[place];
      if (same(value, this.values[field.name])) return;
      this.values[field.name] = value;
      const followsCheckpoint = SIZES.includes(field.name) && !this.#sizeTouched();
      if (followsCheckpoint || value === null || value === undefined) return;
      if (same(value, field.default)) localStorage.removeItem(this.key + field.name);
      else localStorage.setItem(this.key + field.name, JSON.stringify(value));
    });
    this.dispatchEvent(new Event("change"));
  }

  /** @param {string} name */
  #kept(name) {
    if (SIZES.includes(name) && !this.#sizeTouched()) return this.nativeSize;
    const text = localStorage.getItem(this.key + name);
    try {
      return text === null ? null : JSON.parse(text);
    } catch {
      return null;
    }
  }

  #sizeTouched() {
    return localStorage.getItem(this.sizeTouchedKey) === "yes";
  }

  /** From now on both sizes are the user's own, the one that was not touched too. */
  #touchSize() {
    if (this.#sizeTouched()) return;
    localStorage.setItem(this.sizeTouchedKey, "yes");
    for (const name of SIZES) localStorage.setItem(this.key + name, JSON.stringify(this.values[name]));
  }
}

/** Whether two values of a field are equal; some fields hold lists. @param {any} one @param {any} other */
function same(one, other) {
  return one === other || (Array.isArray(one) && JSON.stringify(one) === JSON.stringify(other));
}
