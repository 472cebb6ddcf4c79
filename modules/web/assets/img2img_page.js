/** The img2img tab: a generation tab that also has pictures. Their scripts are fetched when the tab is first needed. */
import { openTab, whenPresent } from "./dom.js";
import { GenerationPage } from "./generation_page.js";
import { Resizing } from "./resizing.js";

export class Img2ImgPage extends GenerationPage {
  /** @param {import("./generation_page.js").Shared} shared */
  constructor(shared) {
    super("img2img", shared);
    this.resizing = new Resizing(this.form);
    /** @type {Promise<import("./source.js").SourcePanel> | null} */
    this.loading = null;
    this.form.more = async (values) => {
      const more = await (await this.panel()).values(values);
      return more && { ...more, ...this.resizing.values() };
    };
  }

  /** @param {import("./status.js").StatusView} checkpoints @param {import("./sending.js").Sending} sending */
  start(checkpoints, sending) {
    super.start(checkpoints, sending);
    this.resizing.start();
    whenPresent("#img2img_source", async (place) => place.replaceChildren((await this.panel()).box));
  }

  /** @returns {Promise<import("./source.js").SourcePanel>} */
  panel() {
    this.loading ??= import("./source.js").then(({ SourcePanel }) => new SourcePanel(this)).catch((error) => {
      this.loading = null;
      throw error;
    });
    return this.loading;
  }

  /**
   * Show a picture in a sub-tab.
   * @param {string | null} mode the sub-tab, null for the one that is open @param {File | Blob} picture
   */
  async take(mode, picture) {
    openTab("img2img");
    const panel = await this.panel();
    await panel.take(mode, picture);
  }

  /** @param {Record<string, any>} request */
  async use(request) {
    await super.use(request);
    this.resizing.choose("to");
    await (await this.panel()).use(request);
  }
}
