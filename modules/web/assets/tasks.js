/** Background tasks: a ring in the status line that opens a list, the same list in the tabs, and a note when one ends. */
import { post } from "./api.js";
import { h, whenPresent } from "./dom.js";

/**
 * @typedef {{id: string, kind: string, title: string, state: string, fraction: number, detail: string, error: string,
 *   result: string, created: number}} Task
 */

const ACTIVE = ["waiting", "running", "shown"];
const STATE_NAMES = { waiting: "Waiting", running: "Starting…", finished: "Finished", failed: "Failed", cancelled: "Cancelled", shown: "" };
const SIGNS = { download: "↓", merge: "+", extension: "⚙", hashing: "#", finished: "✓", failed: "!" };

export class TaskView {
  /**
   * @param {import("./live.js").Live} live @param {import("./messages.js").Messages} messages
   * @param {import("./status.js").StatusView} checkpoints @param {boolean} admin whether the user may cancel and the like
   */
  constructor(live, messages, checkpoints, admin) {
    this.live = live;
    this.messages = messages;
    this.checkpoints = checkpoints;
    this.admin = admin;
    /** @type {Map<string, string> | null} how each task stood when it was last heard of; null before the first time */
    this.states = null;
    /** @type {TaskList[]} */
    this.lists = [];
    this.count = h("span", { class: "easel-ring-text" });
    this.ring = h("button", {
      type: "button", class: "easel-ring-button", hidden: true, "aria-expanded": "false", "aria-controls": "easel_task_panel", onclick: () => this.#toggle(),
    }, h("span", { class: "easel-ring" }), this.count);
    this.panel = h("div", { id: "easel_task_panel", class: "easel-task-panel", hidden: true, role: "region", "aria-label": "Background tasks" },
      h("h3", {}, "Background tasks"), this.list(() => true).box);
  }

  start() {
    document.documentElement.dataset.easelAdmin = this.admin ? "yes" : "no";
    whenPresent(".easel-status", (box) => {
      box.querySelector(".easel-status-text")?.after(this.ring);
      box.append(this.panel);
    });
    const queued = this.list(() => true);
    const title = h("h3", {}, "Background tasks");
    queued.onChange = (count) => (title.hidden = count === 0);
    whenPresent("#easel_queue_tasks", (place) => place.replaceChildren(h("div", { class: "easel-queue" }, title, queued.box)));
    this.live.on("tasks", () => this.#take());
    document.addEventListener("click", (event) => {
      const target = event.target instanceof Node ? event.target : null;
      // A button that was pressed may be gone from the list by now.
      if (target?.isConnected && !this.panel.contains(target) && !this.ring.contains(target)) this.#toggle(false);
    });
    document.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || this.panel.hidden) return;
      this.#toggle(false);
      this.ring.focus();
    });
    this.#take();
  }

  /** Return a list that always shows the tasks that are wanted. @param {(task: Task) => boolean} wanted */
  list(wanted) {
    const list = new TaskList(wanted, this.admin, (id, action) => this.#act(id, action));
    this.lists.push(list);
    list.show(this.live.tasks);
    return list;
  }

  /** @param {boolean} [open] */
  #toggle(open = this.panel.hidden) {
    this.panel.hidden = !open;
    this.ring.setAttribute("aria-expanded", String(open));
  }

  #take() {
    const { tasks } = this.live;
    const before = this.states;
    if (before) for (const task of tasks) if (before.get(task.id) !== task.state) this.#announce(task, before.get(task.id));
    if (this.live.connected) this.states = new Map(tasks.map((task) => [task.id, task.state]));
    for (const list of this.lists) list.show(tasks);
    this.#showRing(tasks);
  }

  /** @param {Task} task @param {string | undefined} before how it stood */
  #announce(task, before) {
    if (before === undefined || !ACTIVE.includes(before)) return;
    if (task.state === "failed") this.messages.note(`${task.title}: ${task.error}`, "error");
    if (task.state !== "finished") return;
    this.messages.note(task.kind === "extension" ? `${task.title}: ${task.result}` : `${task.title} is ready. ${task.result}`);
    this.checkpoints.sync();
    if (task.kind !== "extension") document.dispatchEvent(new CustomEvent("easel:models-changed"));
  }

  /** @param {Task[]} tasks */
  #showRing(tasks) {
    const active = tasks.filter((task) => ACTIVE.includes(task.state));
    const failed = tasks.filter((task) => task.state === "failed");
    const fraction = active.length ? active.reduce((sum, task) => sum + task.fraction, 0) / active.length : 1;
    const shown = active.length ? `${Math.round(fraction * 100)} %` : failed.length ? "!" : "";
    this.ring.hidden = !shown;
    if (this.ring.hidden) this.#toggle(false);
    this.ring.dataset.state = active.length ? "busy" : "failed";
    this.ring.style.setProperty("--easel-part", `${fraction}turn`);
    this.count.textContent = shown;
    const words = active.length ? `${plural(active.length, "background task")}, ${shown} done` : `${plural(failed.length, "background task")} failed`;
    this.ring.title = words;
    this.ring.setAttribute("aria-label", words);
  }

  /** @param {string} id @param {string} action */
  async #act(id, action) {
    try {
      await post(`/easel/tasks/${encodeURIComponent(id)}/${action}`);
    } catch (error) {
      this.messages.failure(error);
    }
  }
}

/** Cards of some tasks, changed in place, so that a button does not vanish under the pointer. */
export class TaskList {
  /** @param {(task: Task) => boolean} wanted @param {boolean} admin @param {(id: string, action: string) => void} act */
  constructor(wanted, admin, act) {
    this.wanted = wanted;
    this.admin = admin;
    this.act = act;
    this.box = h("div", { class: "easel-tasks" });
    /** @type {Map<string, {state: string, card: HTMLElement, fill: HTMLElement, words: HTMLElement}>} */
    this.cards = new Map();
    /** @type {(count: number) => void} told how many tasks there are */
    this.onChange = () => {};
  }

  /** @param {Task[]} tasks */
  show(tasks) {
    const wanted = tasks.filter(this.wanted).sort((one, other) => rank(one) - rank(other) || other.created - one.created);
    const ids = new Set(wanted.map((task) => task.id));
    for (const id of [...this.cards.keys()]) if (!ids.has(id)) this.cards.delete(id);
    const cards = wanted.map((task) => this.#card(task));
    if (cards.length !== this.box.childElementCount || cards.some((card, place) => card !== this.box.children[place])) this.box.replaceChildren(...cards);
    this.onChange(wanted.length);
  }

  /** @param {Task} task */
  #card(task) {
    const known = this.cards.get(task.id);
    const entry = known?.state === task.state ? known : this.#build(task);
    entry.fill.style.transform = `scaleX(${task.fraction})`;
    entry.fill.parentElement?.setAttribute("aria-valuenow", String(Math.round(task.fraction * 100)));
    const words = task.error || task.result || (task.state === "cancelled" ? ["Cancelled", task.detail].filter(Boolean).join(" · ") : task.detail || STATE_NAMES[task.state]);
    if (entry.words.textContent !== words) entry.words.textContent = words;
    this.cards.set(task.id, entry);
    return entry.card;
  }

  /** @param {Task} task */
  #build(task) {
    const fill = h("div", { class: "easel-bar-fill" });
    const words = h("p", { class: task.state === "failed" ? "easel-error-text" : "easel-task-words" });
    const bar = ACTIVE.includes(task.state) ? h("div", {
      class: "easel-bar", role: "progressbar", "aria-label": task.title, "aria-valuemin": 0, "aria-valuemax": 100,
    }, fill) : null;
    const card = h("article", { class: "easel-task", "data-task": task.id, "data-state": task.state, "data-kind": task.kind },
      h("span", { class: "easel-task-sign", "aria-hidden": "true" }, SIGNS[task.state] ?? SIGNS[task.kind] ?? "•"),
      h("div", { class: "easel-task-body" }, h("p", { class: "easel-task-title", title: task.title }, task.title), bar, words),
      h("div", { class: "easel-task-actions" }, ...(this.admin ? this.#buttons(task) : [])));
    return { state: task.state, card, fill, words };
  }

  /** @param {Task} task */
  #buttons(task) {
    const button = (/** @type {string} */ text, /** @type {string} */ action, label = text) => h("button", {
      type: "button", class: text.length === 1 ? "easel-button easel-square" : "easel-button", "data-action": action, title: label, "aria-label": label,
      onclick: () => this.act(task.id, action),
    }, text);
    if (task.state === "shown") return [];
    if (ACTIVE.includes(task.state)) return [button("Cancel", "cancel")];
    const remove = button("✕", "dismiss", task.state === "finished" ? "Remove from the list" : "Remove from the list and delete what is unfinished");
    if (task.state === "finished") return [remove];
    return [button(task.kind === "download" && task.state === "cancelled" ? "Resume" : "Retry", "retry"), remove];
  }
}

/** What goes on now comes first, then what ended. @param {Task} task */
function rank(task) {
  return ["running", "shown", "waiting"].includes(task.state) ? 0 : 1;
}

/** @param {number} count @param {string} noun */
function plural(count, noun) {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
