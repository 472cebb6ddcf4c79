/** A generation tab, txt2img or img2img: its form, gallery, progress and tools, all of the same make. */
import { openTab, press } from "./dom.js";
import { Folds } from "./folds.js";
import { Form } from "./form.js";
import { FormLooks } from "./form_looks.js";
import { Gallery } from "./gallery.js";
import { InnerTabs } from "./inner_tabs.js";
import { Inspector } from "./inspector.js";
import { OfferedValues } from "./offered_values.js";
import { Outcome } from "./outcome.js";
import { Paster } from "./paster.js";
import { PictureTools } from "./picture_tools.js";
import { pluginValues } from "./plugin_fields.js";
import { ProgressView } from "./progress.js";
import { PromptTools } from "./prompt_tools.js";
import { TokenCounters } from "./tokens.js";

/**
 * What all tabs share.
 * @typedef {{facts: any, live: import("./live.js").Live, messages: import("./messages.js").Messages,
 *   steering: import("./steering.js").Steering, styles: import("./styles_editor.js").StylesEditor,
 *   verification: import("./verify.js").Verification, lightbox: import("./lightbox.js").Lightbox}} Shared
 */

export class GenerationPage {
  /** @param {string} name @param {Shared} shared */
  constructor(name, shared) {
    const { facts, live, messages } = shared;
    this.name = name;
    this.shared = shared;
    this.folds = new Folds(name);
    this.form = new Form(name, facts.fields[name], facts.native_size, this.folds);
    this.outcome = new Outcome(name, facts.fields[name], messages);
    this.gallery = new Gallery(name, live, messages, this.form.ready);
  }

  /** @param {import("./status.js").StatusView} checkpoints @param {import("./sending.js").Sending} sending */
  start(checkpoints, sending) {
    const { facts, live, messages, steering, styles, verification, lightbox } = this.shared;
    const { form, gallery } = this;
    this.paster = new Paster(form, messages, checkpoints);
    this.folds.start();
    form.start();
    this.outcome.start();
    gallery.start();
    lightbox.follow(gallery);
    new ProgressView(this.name, steering).start();
    new FormLooks(form, facts.scripts[this.name]).start();
    new OfferedValues(form, facts.scripts[this.name], facts.swaps[this.name], messages).start();
    new TokenCounters(form, live, facts.longest_prompt).start();
    new PromptTools(form, messages, this.paster, styles).start();
    new Inspector(form).start();
    new InnerTabs({ page: this.name, form, messages, live, checkpoints, gallery }).start();
    new PictureTools(this, verification, sending).start();
  }

  /** Put a job's settings on the form and show it. @param {Record<string, any>} request */
  async use(request) {
    const scripts = this.shared.facts.scripts[this.name];
    this.form.set({ ...request, ...pluginValues(this.form.fields, scripts, request.extras ?? {}) });
    openTab(this.name);
  }

  /** Press the tab's Generate. */
  generate() {
    press(`${this.name}_generate`);
  }
}

/** Return the name of the generation tab that is on screen, of txt2img when none is. */
export function shownPage() {
  const chosen = document.querySelector('#tabs > .tab-wrapper button[role=tab].selected[data-tab-id="img2img"]');
  return chosen ? "img2img" : "txt2img";
}
