/** The running job on one generation tab: progress bar, live preview, and the buttons Interrupt and Skip. */
import { h, openTab, whenPresent } from "./dom.js";
import { pageOf } from "./live.js";

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
  /** @param {string} page @param {import("./steering.js").Steering} steering */
  constructor(page, steering) {
    this.page = page;
    this.steering = steering;
    this.live = steering.live;
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
  }

  start() {
    const { page, steering } = this;
    whenPresent(`#${page}_progress`, (root) => root.replaceChildren(this.box));
    whenPresent(`#${page}_live_preview`, (root) => root.replaceChildren(this.preview));
    whenPresent(`#${page}_interrupt`, (button) => button.addEventListener("click", () => steering.steer("interrupt")));
    whenPresent(`#${page}_skip`, (button) => button.addEventListener("click", () => steering.steer("skip")));
    this.live.on("change", () => this.#show());
    steering.addEventListener("change", () => this.#show());
  }

  #show() {
    const { job } = this.live;
    const progress = this.live.shownProgress();
    const running = this.live.running();
    const waiting = this.live.queue.waiting.length;
    this.#showButtons();
    const failed = job?.state === "failed" && this.#isOurs();
    this.box.hidden = !(running || waiting || failed);
    this.box.dataset.state = running ? "running" : failed ? "failed" : "waiting";
    this.waiting.textContent = waiting ? `${waiting} waiting` : "";
    const fraction = this.steering.fraction();
    this.bar.style.transform = `scaleX(${fraction})`;
    this.track.setAttribute("aria-valuenow", String(Math.round(fraction * 100)));
    this.percent.textContent = running ? `${Math.round(fraction * 100)} %` : "";
    this.text.textContent = this.#sentence(running, job, progress);
    const previewed = running && this.#isOurs();
    if (previewed && progress?.preview && progress.preview !== this.preview.getAttribute("src")) {
      this.preview.setAttribute("src", progress.preview);
    }
    const finished = previewed ? job?.images.length ?? 0 : 0;
    if (!previewed || (progress && !progress.preview) || finished !== this.finished) this.preview.hidden = true;
    this.finished = finished;
  }

  /** Whether the job that the page follows was made on this tab. */
  #isOurs() {
    return this.live.job !== null && pageOf(this.live.job) === this.page;
  }

  /** @param {boolean} running @param {any} job @param {import("./live.js").Progress | null} progress */
  #sentence(running, job, progress) {
    const whose = running && !this.#isOurs() ? `${pageOf(job)}: ` : "";
    if (running && this.steering.asked?.what === "interrupt") return `${whose}Interrupting…`;
    if (running) return whose + (progress ? describe(progress) : "Starting…");
    if (job?.state === "failed" && this.#isOurs()) return `Failed: ${job.error}`;
    if (this.live.queue.paused) return `The queue is paused${this.live.queue.reason ? `: ${this.live.queue.reason}` : ""}`;
    if (this.live.queue.running) return "Waiting for another job, see the Queue tab…";
    return this.live.engine.state === "ready" ? "Waiting…" : "The engine is starting…";
  }

  #showButtons() {
    const button = document.getElementById(`${this.page}_interrupt`);
    if (button) button.toggleAttribute("data-easel-asked", this.steering.asked?.what === "interrupt");
  }

  #showPreview() {
    if (!this.live.running() || !this.#isOurs()) return;
    this.preview.hidden = false;
    this.#placePreview();
  }

  /** With finished pictures of this job in the gallery the preview makes room for them. */
  #placePreview() {
    this.preview.classList.toggle("easel-corner", this.finished > 0 && !this.large);
  }
}
