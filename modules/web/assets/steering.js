/** What is asked of the running job, and what the whole window shows of it: title, state, a failure. */
import { post } from "./api.js";

const TITLE = "Easel";

export class Steering extends EventTarget {
  /** @param {import("./live.js").Live} live @param {import("./messages.js").Messages} messages */
  constructor(live, messages) {
    super();
    this.live = live;
    this.messages = messages;
    /** @type {string | null} the last job of which a failure was told */
    this.told = null;
    this.first = true;
    /** @type {{job: string, what: string} | null} what was asked of the running job */
    this.asked = null;
  }

  start() {
    this.live.on("change", () => this.#show());
  }

  /** Ask the running job to stop or to skip. @param {"interrupt" | "skip"} what */
  async steer(what) {
    const job = this.live.running() ? this.live.job?.id : this.live.queue.running;
    if (!job) return;
    this.asked = { job, what };
    this.dispatchEvent(new Event("change"));
    try {
      await post(`/easel/${what}?job=${encodeURIComponent(job)}`);
    } catch (error) {
      this.asked = null;
      this.messages.failure(error);
    }
    if (what === "skip") this.asked = null;
  }

  /** How much of the running job is done, 0 to 1; of a model that it has loaded first, how much of that. */
  fraction() {
    const progress = this.live.shownProgress();
    if (!this.live.running() || !progress) return 0;
    const loading = progress.stage === "loading model" && this.live.model.state === "loading" && progress.fraction === 0;
    return loading ? this.live.model.fraction : progress.fraction;
  }

  #show() {
    const running = this.live.running();
    document.documentElement.dataset.job = running ? "running" : "idle";
    if (!running) this.asked = null;
    document.title = running ? `[${Math.round(this.fraction() * 100)}%] ${TITLE}` : TITLE;
    this.#tellFailure(this.live.job);
  }

  /** @param {import("./live.js").Job | null} job */
  #tellFailure(job) {
    const failed = job?.state === "failed" ? job.id : null;
    if (failed && failed !== this.told && !this.first) this.messages.note(`Failed: ${job?.error}`, "error");
    this.told = failed;
    this.first = false;
  }
}
