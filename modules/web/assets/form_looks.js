/** What of the form's look follows from its values: the size of the second pass, and rows that hide while they are empty. */
import { h, press, whenPresent } from "./dom.js";

export class FormLooks {
  /** @param {import("./form.js").Form} form @param {Record<string, string>} scripts titles by name */
  constructor(form, scripts) {
    this.form = form;
    this.scripts = scripts;
  }

  start() {
    this.form.addEventListener("change", () => this.#show());
    for (const place of ["#txtimg_hr_finalres", `#${this.form.page}_override_settings_row`, "#txt2img_hr_scale"]) {
      whenPresent(place, () => this.#show());
    }
    for (const name of Object.keys(this.scripts)) whenPresent(`#${this.form.page}_script_${name}`, () => this.#show());
  }

  #show() {
    const { values } = this.form;
    const row = document.getElementById(`${this.form.page}_override_settings_row`);
    row?.toggleAttribute("data-easel-filled", values.override_settings?.length > 0);
    for (const [name, title] of Object.entries(this.scripts)) {
      const column = document.getElementById(`${this.form.page}_script_${name}`);
      column?.toggleAttribute("data-easel-open", values.script === title);
      // It comes with the fields of the script, or is not there before they are wanted.
      if (!column && values.script === title) press(`${this.form.page}_make_script`);
    }
    if (this.form.page !== "txt2img") return;
    const byResize = values.hr_resize_x > 0 || values.hr_resize_y > 0;
    document.getElementById("txt2img_hr_scale")?.toggleAttribute("data-easel-idle", byResize);
    const label = document.getElementById("txtimg_hr_finalres");
    const [width, height] = hiresSize(values);
    const text = `${values.width}x${values.height} ${width}x${height}`;
    if (!label || (label.dataset.shown === text && label.firstElementChild)) return;
    label.dataset.shown = text;
    label.replaceChildren(h("span", { class: "easel-hires-size" },
      "from ", h("b", {}, `${values.width}x${values.height}`), " to ", h("b", {}, `${width}x${height}`)));
  }
}

/** Return width and height of the second pass, by the same rule as the engine. @param {Record<string, any>} values */
export function hiresSize({ width, height, hr_scale, hr_resize_x, hr_resize_y }) {
  if (!hr_resize_x && !hr_resize_y) return [Math.trunc(width * hr_scale), Math.trunc(height * hr_scale)];
  return [
    hr_resize_x || Math.floor((hr_resize_y * width) / height),
    hr_resize_y || Math.floor((hr_resize_x * height) / width),
  ];
}
