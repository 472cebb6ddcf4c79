/**
 * The socket to the server, and what it has told: one place for the whole page.
 * @typedef {{index: number, seed: string, subseed: string, url: string, infotext: string}} JobImage
 * @typedef {{id: string, state: string, purpose?: string, created: number, started: number | null, finished: number | null,
 *   error: string | null, request: Record<string, any>, images: JobImage[], image_count: number, made_count: number,
 *   part_count: number}} Job
 * @typedef {{job: string, fraction: number, step: number, steps: number, image: number, images: number,
 *   batch_size: number, seconds_left: number | null, preview: string | null, stage: string}} Progress
 */

/** The tab whose job it is. @param {Job} job */
export function pageOf(job) {
  return job.request.init_image ? "img2img" : "txt2img";
}

const RECONNECT_MS = 1000;
/** The server speaks at least every 5 s; after so long a silence the connection is dead without saying so. */
const SILENCE_MS = 13_000;

export class Live extends EventTarget {
  constructor() {
    super();
    this.connected = false;
    this.engine = { state: "starting", detail: "" };
    this.model = { title: "", state: "none", fraction: 0, stage: "" };
    /** @type {Job | null} the page's running job, else the last one with something to show; never one that was handed over */
    this.job = null;
    /** @type {Record<string, Job | null>} by page: its running job, else its last one */
    this.shown = { txt2img: null, img2img: null };
    /** @type {Progress | null} */
    this.progress = null;
    /** @type {{waiting: string[], running: string | null, paused: boolean, reason: string}} */
    this.queue = { waiting: [], running: null, paused: false, reason: "" };
    /** @type {import("./tasks.js").Task[]} */
    this.tasks = [];
    /** @type {WebSocket | null} */
    this.socket = null;
    this.timer = 0;
  }

  /** Listen to "change" (anything shown), "jobs" (some job or the order changed), "tasks" (background tasks), "remark" (a text) or "connection". */
  on(/** @type {string} */ type, /** @type {(event: any) => void} */ listener) {
    this.addEventListener(type, listener);
  }

  running() {
    return this.job !== null && this.job.state === "running";
  }

  /** The progress of the job that the page follows. */
  shownProgress() {
    return this.progress?.job === this.job?.id ? this.progress : null;
  }

  connect() {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}/easel/live`);
    this.socket = socket;
    socket.addEventListener("message", (event) => {
      if (socket !== this.socket) return;
      this.#expectMore();
      this.#take(JSON.parse(event.data));
    });
    socket.addEventListener("close", () => {
      if (socket === this.socket) this.#lost();
    });
    this.#expectMore();
  }

  #expectMore() {
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => {
      this.socket?.close();
      this.#lost();
    }, SILENCE_MS);
  }

  #lost() {
    this.socket = null;
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => this.connect(), RECONNECT_MS);
    this.#connection(false);
  }

  #connection(/** @type {boolean} */ connected) {
    if (this.connected === connected) return;
    this.connected = connected;
    document.documentElement.dataset.live = connected ? "connected" : "lost";
    this.#tell("connection");
  }

  #tell(/** @type {string} */ type) {
    this.dispatchEvent(new Event(type));
  }

  /** @param {any} message */
  #take(message) {
    const { type, ...rest } = message;
    if (type === "snapshot") this.#takeSnapshot(message);
    else if (type === "progress") this.progress = rest;
    else if (type === "job") this.#takeJob(message.job);
    else if (type === "queue") this.queue = rest;
    else if (type === "model") this.model = rest;
    else if (type === "engine") this.engine = rest;
    else if (type === "tasks") this.tasks = message.tasks;
    else if (type === "remark") this.dispatchEvent(new CustomEvent("remark", { detail: message.text }));
    if (type === "beat") return;
    if (type === "tasks" || type === "snapshot") this.#tell("tasks");
    if (type === "tasks") return;
    if (type === "job" || type === "queue" || type === "removed" || type === "snapshot") this.#tell("jobs");
    this.#tell("change");
  }

  /** @param {any} snapshot */
  #takeSnapshot(snapshot) {
    this.engine = snapshot.engine;
    this.model = snapshot.model;
    this.job = snapshot.job && !handedOver(snapshot.job) ? snapshot.job : null;
    for (const job of [...snapshot.last, this.job]) if (job) this.shown[pageOf(job)] = job;
    this.progress = snapshot.progress;
    this.tasks = snapshot.tasks;
    this.queue = { ...snapshot.queue, waiting: snapshot.queue.waiting.map((/** @type {Job} */ job) => job.id) };
    this.#connection(true);
  }

  /** @param {Job} job */
  #takeJob(job) {
    if (!handedOver(job) && (job.state === "running" || job.id === this.job?.id)) this.job = job;
    const page = pageOf(job);
    if (!handedOver(job) && (job.state === "running" || job.id === this.shown[page]?.id)) this.shown[page] = job;
    if (this.progress?.job === job.id && job.state !== "running") this.progress = null;
  }
}

/** Whether a job's pictures go to somebody else: the API's caller, or a verification. @param {Job} job */
function handedOver(job) {
  return job.purpose === "handover";
}
