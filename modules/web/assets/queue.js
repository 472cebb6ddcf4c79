/** The Queue tab: what waits, runs and has ended, and what can be done to it. */
import { Refused, get, post } from "./api.js";
import { debounce, h, whenPresent } from "./dom.js";
import { pageOf } from "./live.js";
import { describe } from "./progress.js";
import { makeCard } from "./queue_card.js";

const PAUSE_MS = 120;
const PAGE = 30;

/** @typedef {{name: string, label: string, option: string, key: string | null}} Override a parameter that is an option */

export class QueueView {
  /**
   * @param {import("./live.js").Live} live @param {Record<string, import("./generation_page.js").GenerationPage>} pages
   * @param {import("./messages.js").Messages} messages @param {import("./lightbox.js").Lightbox} lightbox
   * @param {Override[]} overrides
   */
  constructor(live, pages, messages, lightbox, overrides) {
    this.overrides = overrides;
    this.live = live;
    this.pages = pages;
    this.messages = messages;
    this.lightbox = lightbox;
    this.limit = PAGE;
    /** @type {Map<string, {signature: string, element: HTMLElement}>} cards by job, built anew only when they change */
    this.cards = new Map();
    this.dirty = true;
    /** @type {HTMLElement | null} */
    this.root = null;
    this.#build();
  }

  #build() {
    this.pause = h("button", { type: "button", class: "easel-button", onclick: () => this.#togglePause() });
    this.reason = h("p", { class: "easel-queue-reason", role: "status" });
    this.lists = { running: h("div", { class: "easel-cards" }), waiting: h("div", { class: "easel-cards" }), ended: h("div", { class: "easel-cards" }) };
    this.titles = { running: h("h3", {}, "Running"), waiting: h("h3", {}, "Waiting"), ended: h("h3", {}, "Finished") };
    this.more = h("button", { type: "button", class: "easel-button", onclick: () => this.#showMore() }, "Show more");
    this.empty = h("p", { class: "easel-empty" }, "Nothing here yet. Jobs appear as soon as you press Generate.");
  }

  start() {
    whenPresent("#easel_queue", (root) => {
      this.root = root;
      const head = h("div", { class: "easel-queue-head" }, h("h2", {}, "Queue"), this.pause);
      root.replaceChildren(h("div", { class: "easel-queue" }, head, this.reason, this.empty,
        this.titles.running, this.lists.running, this.titles.waiting, this.lists.waiting,
        this.titles.ended, this.lists.ended, this.more));
      new IntersectionObserver(() => this.#loadIfSeen()).observe(root);
      this.#load();
    });
    const load = debounce(() => this.#loadIfSeen(), PAUSE_MS);
    this.live.on("jobs", () => {
      this.dirty = true;
      this.#showBadge();
      load();
    });
    this.live.on("change", () => this.#showProgress());
    whenPresent('#tabs button[role=tab][data-tab-id="queue"]', () => this.#showBadge());
  }

  #loadIfSeen() {
    if (this.dirty && this.root?.offsetParent) this.#load();
  }

  async #load() {
    this.dirty = false;
    try {
      this.#show(await get(`/easel/jobs?limit=${this.limit}`));
    } catch (error) {
      this.dirty = true;
      if (!(error instanceof Refused)) throw error;
    }
  }

  /** @param {{running: any, waiting: any[], ended: any[], paused: boolean}} jobs */
  #show({ running, waiting, ended, paused }) {
    this.pause.textContent = paused ? "Resume" : "Pause";
    this.pause.title = paused ? "Let jobs begin again" : "Let no further job begin; the running one goes on";
    this.pause.dataset.paused = paused ? "yes" : "no";
    this.reason.textContent = paused ? this.live.queue.reason || "Paused: no further job begins." : "";
    this.empty.hidden = Boolean(running || waiting.length || ended.length);
    this.more.hidden = ended.length < this.limit;
    const known = new Set();
    this.#fill("running", running ? [running] : [], known);
    this.#fill("waiting", waiting, known);
    this.#fill("ended", ended, known);
    for (const id of [...this.cards.keys()]) if (!known.has(id)) this.cards.delete(id);
    this.#showProgress();
  }

  /** @param {"running" | "waiting" | "ended"} name @param {any[]} jobs @param {Set<string>} known */
  #fill(name, jobs, known) {
    this.titles[name].hidden = jobs.length === 0;
    const elements = jobs.map((job, place) => {
      known.add(job.id);
      const neighbours = { first: place === 0, last: place === jobs.length - 1 };
      const signature = JSON.stringify([job, neighbours]);
      const kept = this.cards.get(job.id);
      if (kept?.signature === signature) return kept.element;
      const element = makeCard(job, neighbours, this.#actions(job, jobs, place), this.lightbox);
      this.cards.set(job.id, { signature, element });
      return element;
    });
    this.lists[name].replaceChildren(...elements);
  }

  /** @param {any} job @param {any[]} jobs @param {number} place */
  #actions(job, jobs, place) {
    const path = `/easel/jobs/${encodeURIComponent(job.id)}`;
    return {
      use: () => this.#use(job),
      cancel: () => this.#ask(`${path}/cancel`),
      interrupt: () => this.#ask(`/easel/interrupt?job=${encodeURIComponent(job.id)}`),
      retry: () => this.#ask(`${path}/retry`),
      remove: () => this.#ask(`${path}/remove`),
      up: () => this.#ask(`${path}/move`, { before: jobs[place - 1]?.id ?? null }),
      down: () => this.#ask(`${path}/move`, { before: jobs[place + 2]?.id ?? null }),
      moveBefore: (/** @type {string} */ moved) => this.#ask(`/easel/jobs/${encodeURIComponent(moved)}/move`, { before: job.id }),
    };
  }

  /** @param {string} path @param {unknown} [body] */
  async #ask(path, body) {
    try {
      await post(path, body);
    } catch (error) {
      this.messages.failure(error);
    }
    this.#load();
  }

  /** Put a job's settings on the form; options that it had otherwise become override settings. @param {any} job */
  async #use(job) {
    const { request } = job;
    try {
      const { options } = await get("/easel/settings");
      const present = Object.fromEntries(options.map((/** @type {any} */ option) => [option.key, option.value]));
      const other = this.overrides.filter(({ name, option }) => name in request && request[name] !== present[option]);
      const pairs = other.filter(({ key }) => key !== null).map(({ name, key }) => `${key}: ${asText(request[name])}`);
      const lost = other.filter(({ key }) => key === null).map(({ name, label }) => `${label}: ${asText(request[name])}`);
      await this.pages[pageOf(job)].use({ ...request, styles: [], override_settings: pairs });
      if (lost.length) this.messages.note("These options were otherwise and are on the Settings tab:", "info", lost);
      if (request.checkpoint) this.#tellProblem(await post("/easel/checkpoint", { checkpoint: request.checkpoint }));
    } catch (error) {
      this.messages.failure(error);
    }
    window.easel.checkpoints.sync();
  }

  /** @param {{problem: string}} state */
  #tellProblem(state) {
    if (state.problem) this.messages.note(state.problem, "error");
  }

  #togglePause() {
    this.#ask(this.pause.dataset.paused === "yes" ? "/easel/queue/resume" : "/easel/queue/pause");
  }

  #showMore() {
    this.limit = Math.min(200, this.limit + PAGE);
    this.#load();
  }

  #showBadge() {
    const tab = document.querySelector('#tabs button[role=tab][data-tab-id="queue"]');
    if (!(tab instanceof HTMLElement)) return;
    const count = this.live.queue.waiting.length + (this.live.queue.running || this.live.running() ? 1 : 0);
    if (count) tab.dataset.count = String(count);
    else delete tab.dataset.count;
  }

  #showProgress() {
    const { progress } = this.live;
    const card = progress && this.lists.running.querySelector(`[data-job="${CSS.escape(progress.job)}"]`);
    const bar = card?.querySelector(".easel-bar-fill");
    const text = card?.querySelector(".easel-card-progress");
    if (bar instanceof HTMLElement) bar.style.transform = `scaleX(${progress?.fraction ?? 0})`;
    if (text && progress) text.textContent = describe(progress);
  }
}

/** Write a value as infotexts do. @param {any} value */
function asText(value) {
  return typeof value === "boolean" ? (value ? "True" : "False") : String(value);
}
