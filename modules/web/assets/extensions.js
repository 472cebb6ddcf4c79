/** The Extensions tab: what is installed, what could be, and backups of the whole set. */
import { get, post } from "./api.js";
import { ask } from "./dialogs.js";
import { h } from "./dom.js";
import { AvailableList } from "./extension_available.js";
import { BackupList } from "./extension_backups.js";
import { InstallForms } from "./extension_install.js";
import { InstalledList } from "./extension_list.js";

const SECTIONS = { installed: "Installed", available: "Available", install: "Install", backups: "Backup" };
const RESTART_POLL_MS = 700;
const RESTART_LIMIT_MS = 120_000;

/**
 * @typedef {{part: string, where: string, reason: string, trace: string, count: number, when: number}} Failure
 * @typedef {{commit: string, when: number, author: string, title: string}} Commit
 * @typedef {{name: string, title: string, enabled: boolean, switched_on: boolean, off_because: string, kept_off: boolean, refused: boolean, restart: boolean,
 *   is_git: boolean, version: string, commit: string, branch: string, remote: string, requires: string[],
 *   update: {commits: Commit[], problem: string} | null, loaded: boolean, load_seconds: number, errors: Failure[],
 *   shims: Record<string, number>, missing: string[], hooks: string[], notes: string[], fights: string[]}} Extension
 * @typedef {{started: string, folder: string, safe_mode: boolean, disable_all: string, why_not: string, can_restart: boolean, extensions: Extension[], order: import("./extension_order.js").Place[], sites: string[],
 *   trash: {entry: string, name: string, when: number}[], backups: any[]}} Overview
 */

export class ExtensionsView {
  /** @param {import("./messages.js").Messages} messages @param {import("./tasks.js").TaskView} tasks */
  constructor(messages, tasks) {
    this.messages = messages;
    /** @type {Overview | null} */
    this.overview = null;
    this.banners = h("div", { class: "easel-extension-banners" });
    const parts = { act: this.act.bind(this), reload: () => this.load(), messages };
    this.installed = new InstalledList(parts);
    this.available = new AvailableList(parts);
    this.install = new InstallForms(parts);
    this.backups = new BackupList(parts);
    this.panels = { installed: this.installed.box, available: this.available.box, install: this.install.box, backups: this.backups.box };
    this.tabs = Object.entries(SECTIONS).map(([id, label]) => h("button", {
      type: "button", role: "tab", "data-section": id, id: `easel_extensions_${id}_tab`, onclick: () => this.#open(id),
    }, label));
    const list = tasks.list((task) => task.kind === "extension");
    const title = h("h3", {}, "Progress");
    list.onChange = (count) => (title.hidden = count === 0);
    title.hidden = list.box.childElementCount === 0;
    this.box = h("div", { class: "easel-page easel-extensions" }, h("h2", {}, "Extensions"), this.banners,
      h("div", { class: "easel-extension-tabs", role: "tablist", "aria-label": "Extensions", onkeydown: (/** @type {KeyboardEvent} */ event) => this.#step(event) }, ...this.tabs),
      ...Object.values(this.panels), title, list.box);
    this.#open("installed");
    this.ended = endedTasks(tasks.live.tasks);
    tasks.live.on("tasks", () => {
      // A quick task may have ended before the page heard that it had begun.
      const ended = endedTasks(tasks.live.tasks);
      if (ended === this.ended) return;
      this.ended = ended;
      this.load();
    });
  }

  /** @param {HTMLElement} root */
  async show(root) {
    root.replaceChildren(this.box);
    await this.load();
  }

  async load() {
    try {
      /** @type {Overview} */
      const overview = await get("/easel/extensions");
      this.overview = overview;
      this.installed.show(overview);
      this.available.show(overview);
      this.install.show(overview);
      this.backups.show(overview);
      this.#showBanners(overview);
      this.tabs[0].textContent = `Installed (${overview.extensions.length})`;
    } catch (error) {
      this.messages.failure(error);
    }
  }

  /** Post something, then show how things stand. @param {string} path @param {unknown} [body] @returns {Promise<any>} */
  async act(path, body) {
    try {
      const answer = await post(`/easel/extensions/${path}`, body);
      await this.load();
      return answer;
    } catch (error) {
      this.messages.failure(error);
      await this.load();
      return null;
    }
  }

  /** @param {string} id */
  #open(id) {
    for (const tab of this.tabs) {
      const chosen = tab.dataset.section === id;
      tab.setAttribute("aria-selected", String(chosen));
      tab.tabIndex = chosen ? 0 : -1;
    }
    for (const [name, panel] of Object.entries(this.panels)) panel.hidden = name !== id;
  }

  /** Left and Right go to the tab beside. @param {KeyboardEvent} event */
  #step(event) {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by) return;
    event.preventDefault();
    const place = this.tabs.findIndex((tab) => tab.getAttribute("aria-selected") === "true");
    const next = this.tabs[(place + by + this.tabs.length) % this.tabs.length];
    next.focus();
    this.#open(next.dataset.section ?? "installed");
  }

  /** @param {Overview} overview */
  #showBanners(overview) {
    const waiting = overview.extensions.filter((each) => each.restart);
    const banners = [];
    if (overview.safe_mode) banners.push(banner("warn", "Safe mode: this server was started without any extension. Switch off what made trouble, then start it without --safe-mode."));
    for (const each of overview.extensions.filter((extension) => extension.kept_off)) banners.push(banner("bad", `${each.name} is off. ${each.off_because}`));
    if (waiting.length) {
      const button = overview.can_restart ? h("button", { type: "button", class: "easel-button easel-primary", id: "easel_restart", onclick: () => this.#restart() }, "Restart") : null;
      const names = waiting.map((each) => each.name).join(", ");
      banners.push(banner("info", `${names}: ${waiting.length === 1 ? "the change acts" : "the changes act"} after a restart of the server.`, button));
    }
    if (overview.why_not) banners.push(banner("info", overview.why_not));
    this.banners.replaceChildren(...banners);
  }

  async #restart() {
    if (!(await ask("Restart the server? A running job goes on afterwards.", "Restart"))) return;
    const before = this.overview?.started;
    if (!(await this.act("restart"))) return;
    this.banners.replaceChildren(banner("info", "The server restarts …"));
    const until = Date.now() + RESTART_LIMIT_MS;
    const poll = async () => {
      const answer = await fetch("/easel/extensions").then((response) => response.json(), () => null);
      // Signed-in users are asked for their password again; the reload shows them where.
      if (answer && answer.started !== before) location.reload();
      else if (Date.now() < until) setTimeout(poll, RESTART_POLL_MS);
      else this.banners.replaceChildren(banner("bad", "The server has not come back. Look at its log."));
    };
    setTimeout(poll, RESTART_POLL_MS);
  }
}

/** @param {string} kind @param {string} text @param {HTMLElement | null} [button] */
function banner(kind, text, button = null) {
  return h("div", { class: "easel-extension-banner", "data-kind": kind, role: "status" }, h("p", {}, text), button);
}

/** Return what tells which tasks of extensions have ended. @param {import("./tasks.js").Task[]} tasks */
function endedTasks(tasks) {
  return tasks.filter((task) => task.kind === "extension" && ["finished", "failed", "cancelled"].includes(task.state)).map((task) => task.id + task.state).join();
}
