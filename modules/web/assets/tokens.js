/** The token counters over the two prompts, counted by the server's tokenizer. */
import { post } from "./api.js";
import { debounce, whenPresent } from "./dom.js";

const PAUSE_MS = 250;

export class TokenCounters {
  /**
   * @param {import("./form.js").Form} form @param {import("./live.js").Live} live
   * @param {number} longest characters in a prompt that is still accepted
   */
  constructor(form, live, longest) {
    this.form = form;
    this.live = live;
    this.longest = longest;
    this.counted = "";
    this.places = [`${form.page}_token_counter`, `${form.page}_negative_token_counter`];
    /** @type {string[]} */
    this.shown = this.places.map(() => "0/75");
    /** @type {(string | null)[]} what is wrong with each prompt's brackets */
    this.problems = this.places.map(() => null);
    this.engine = "";
  }

  start() {
    const count = debounce(() => this.#count(), PAUSE_MS);
    this.form.addEventListener("change", count);
    this.live.on("change", () => {
      if (this.engine === this.live.engine.state) return;
      this.engine = this.live.engine.state;
      this.counted = "";
      count();
    });
    this.places.forEach((id) => whenPresent(`#${id}`, () => this.#show()));
  }

  async #count() {
    const texts = [this.form.values.prompt ?? "", this.form.values.negative_prompt ?? ""];
    const styles = this.form.values.styles ?? [];
    const key = JSON.stringify([texts, styles]);
    if (key === this.counted || texts.some((text) => text.length > this.longest)) return;
    this.counted = key;
    const { counts, brackets } = await post("/easel/tokens", { texts, styles }).catch(() => ({ counts: [null, null] }));
    if (this.counted !== key) return;
    if (counts.includes(null)) this.counted = "";
    counts.forEach((/** @type {[number, number] | null} */ pair, /** @type {number} */ place) => {
      if (pair) this.shown[place] = `${pair[0]}/${pair[1]}`;
    });
    this.problems = brackets ?? this.problems;
    this.#show();
  }

  #show() {
    this.places.forEach((id, place) => {
      const counter = document.querySelector(`#${id} span`);
      if (!(counter instanceof HTMLElement)) return;
      const problem = this.problems[place] ? `Brackets do not match: ${this.problems[place]}` : null;
      counter.textContent = this.shown[place];
      counter.title = problem ?? "Tokens of the prompt, styles included, and how many fit";
      counter.toggleAttribute("data-easel-bad", Boolean(problem));
      counter.setAttribute("aria-label", `${this.shown[place]} tokens${problem ? `; ${problem}` : ""}`);
    });
  }
}
