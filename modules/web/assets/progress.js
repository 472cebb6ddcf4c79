/** The running job: progress bar, live preview, tab title, and the buttons Interrupt and Skip. */
import { post } from "./api.js";
import { h, openTab, whenPresent } from "./dom.js";

const TITLE = "Easel";

/** @param {number | null} seconds */
export function duration(seconds) {
  if (seconds === null) return "";
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  return minutes < 60 ? `${minutes} min ${whole % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** @param {import("./live.js").Progress} progress */
export function describe(progress) {
  const parts = [];
  if (progress.images > 1) {
    const last = Math.min(progress.image + progress.batch_size - 1, progress.images);
    const which = last > progress.image ? `Images ${progress.image}–${last}` : `Image ${progress.image}`;
    parts.push(`${which} of ${progress.images}`);
  }
  if (progress.stage === "loading model") parts.push("Loading model");
  else parts.push(`Step ${progress.step}/${progress.steps}`);
  if (progress.seconds_left !== null) parts.push(`${duration(progress.seconds_left)} left`);
  return parts.join(" · ");
}

export class ProgressView {
  /** @param {import("./live.js").Live} live @param {import("./messages.js").Messages} messages */
  constructor(live, messages) {
    this.live = live;
    this.messages = messages;
    this.bar = h("div", { class: "easel-bar-fill" });
    this.text = h("span", { class: "easel-progress-text" });
    this.percent = h("span", { class: "easel-progress-percent" });
    this.waiting = h("button", { type: "button", class: "easel-link", onclick: () => openTab("queue") });
    this.track = h("div", { class: "easel-bar", role: "progressbar", "aria-valuemin": 0, "aria-valuemax": 100 }, this.bar);
    const line = h("div", { class: "easel-progress-line" }, this.text, this.waiting, this.percent);
    this.box = h("div", { class: "easel-progress", hidden: true }, this.track, line);
    this.preview = h("img", { class: "easel-preview", alt: "Live preview", hidden: true });
    this.preview.addEventListener("load", () => this.#showPreview());
    this.preview.addEventListener("click", () => {
      this.large = !this.large;
      this.#placePreview();
    });
    /** Whether the user wants the preview over the finished pictures. */
    this.large = false;
    this.finished = 0;
    /** @type {string | null} the last job of which a failure was told */
    this.told = null;
    this.first = true;
    /** @type {{job: string, what: string} | null} what was asked of the running job */
    this.asked = null;
  }

  start() {
    whenPresent("#txt2img_progress", (root) => root.replaceChildren(this.box));
    whenPresent("#txt2img_live_preview", (root) => root.replaceChildren(this.preview));
    whenPresent("#txt2img_interrupt", (button) => button.addEventListener("click", () => this.steer("interrupt")));
    whenPresent("#txt2img_skip", (button) => button.addEventListener("click", () => this.steer("skip")));
    this.live.on("change", () => this.#show());
  }

  /** Ask the running job to stop or to skip. @param {"interrupt" | "skip"} what */
  async steer(what) {
    const job = this.live.running() ? this.live.job?.id : this.live.queue.running;
    if (!job) return;
    this.asked = { job, what };
    this.#show();
    try {
      await post(`/easel/${what}?job=${encodeURIComponent(job)}`);
    } catch (error) {
      this.asked = null;
      this.messages.failure(error);
    }
    if (what === "skip") this.asked = null;
  }

  #show() {
    const { job } = this.live;
    const progress = this.live.shownProgress();
    const running = this.live.running();
    const waiting = this.live.queue.waiting.length;
    document.documentElement.dataset.job = running ? "running" : "idle";
    if (!running) this.asked = null;
    this.#showButtons();
    this.#tellFailure(job);
    const failed = job?.state === "failed";
    this.box.hidden = !(running || waiting || failed);
    this.box.dataset.state = running ? "running" : failed ? "failed" : "waiting";
    this.waiting.textContent = waiting ? `${waiting} waiting` : "";
    const fraction = running && progress ? this.#fraction(progress) : 0;
    this.bar.style.transform = `scaleX(${fraction})`;
    this.track.setAttribute("aria-valuenow", String(Math.round(fraction * 100)));
    this.percent.textContent = running ? `${Math.round(fraction * 100)} %` : "";
    this.text.textContent = this.#sentence(running, job, progress);
    document.title = running ? `[${Math.round(fraction * 100)}%] ${TITLE}` : TITLE;
    if (running && progress?.preview && progress.preview !== this.preview.getAttribute("src")) {
      this.preview.setAttribute("src", progress.preview);
    }
    // A picture that is finished is shown itself; the next preview is that of the next picture.
    const finished = running ? job?.images.length ?? 0 : 0;
    if (!running || (progress && !progress.preview) || finished !== this.finished) this.preview.hidden = true;
    this.finished = finished;
  }

  /** @param {import("./live.js").Progress} progress */
  #fraction(progress) {
    const loading = progress.stage === "loading model" && this.live.model.state === "loading" && progress.fraction === 0;
    return loading ? this.live.model.fraction : progress.fraction;
  }

  /** @param {boolean} running @param {any} job @param {import("./live.js").Progress | null} progress */
  #sentence(running, job, progress) {
    if (running && this.asked?.what === "interrupt") return "Interrupting…";
    if (running) return progress ? describe(progress) : "Starting…";
    if (job?.state === "failed") return `Failed: ${job.error}`;
    if (this.live.queue.paused) return `The queue is paused${this.live.queue.reason ? `: ${this.live.queue.reason}` : ""}`;
    if (this.live.queue.running) return "Waiting for another job, see the Queue tab…";
    return this.live.engine.state === "ready" ? "Waiting…" : "The engine is starting…";
  }

  #showButtons() {
    const button = document.getElementById("txt2img_interrupt");
    if (button) button.toggleAttribute("data-easel-asked", this.asked?.what === "interrupt");
  }

  /** @param {import("./live.js").Job | null} job */
  #tellFailure(job) {
    const failed = job?.state === "failed" ? job.id : null;
    if (failed && failed !== this.told && !this.first) this.messages.note(`Failed: ${job?.error}`, "error");
    this.told = failed;
    this.first = false;
  }

  #showPreview() {
    if (!this.live.running()) return;
    this.preview.hidden = false;
    this.#placePreview();
  }

  /** With finished pictures of this job in the gallery the preview makes room for them. */
  #placePreview() {
    this.preview.classList.toggle("easel-corner", this.finished > 0 && !this.large);
  }
}
