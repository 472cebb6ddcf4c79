/** The installed extensions: their switches, versions, errors, commits and logs. */
import { get } from "./api.js";
import { ask, makeDialog } from "./dialogs.js";
import { h } from "./dom.js";
import { OrderList } from "./extension_order.js";
import { SiteList } from "./extension_sites.js";

const PARTS = { install: "setup", preload: "flags", import: "import", page: "page", hook: "hook", start: "start" };

/** @typedef {import("./extensions.js").Extension} Extension */
/** @typedef {{act: (path: string, body?: unknown) => Promise<any>, reload: () => Promise<void>, messages: import("./messages.js").Messages}} Parts */

export class InstalledList {
  /** @param {Parts} parts */
  constructor(parts) {
    this.parts = parts;
    /** @type {Set<string>} whose details are open */
    this.open = new Set();
    this.check = h("button", { type: "button", class: "easel-button", id: "easel_extensions_check", onclick: () => parts.act("check") }, "Check for updates");
    this.updateAll = h("button", { type: "button", class: "easel-button", id: "easel_extensions_update_all", hidden: true, onclick: () => this.#update(this.behind) }, "Update all");
    this.allOff = /** @type {HTMLInputElement} */ (h("input", { type: "checkbox", id: "easel_extensions_all_off", role: "switch" }));
    this.allOff.addEventListener("change", () => parts.act("switch", { disable_all: this.allOff.checked ? "all" : "none" }));
    /** @type {string[]} */
    this.behind = [];
    this.list = h("div", { class: "easel-extension-list" });
    this.order = new OrderList(parts);
    this.sites = new SiteList(parts);
    this.trash = h("div", { class: "easel-extension-trash" });
    this.box = h("section", { class: "easel-fields", role: "tabpanel" },
      h("div", { class: "easel-extension-bar" }, this.check, this.updateAll,
        h("div", { class: "easel-toggle" }, this.allOff, h("label", { for: this.allOff.id }, "All off"))),
      this.list, this.order.box, this.sites.box, this.trash);
  }

  /** @param {import("./extensions.js").Overview} overview */
  show(overview) {
    this.mayInstall = !overview.why_not;
    this.behind = overview.extensions.filter((each) => each.update?.commits.length).map((each) => each.name);
    this.check.toggleAttribute("disabled", !this.mayInstall || !overview.extensions.some((each) => each.is_git));
    this.updateAll.hidden = this.behind.length < 2 || !this.mayInstall;
    this.allOff.checked = overview.disable_all !== "none";
    const cards = overview.extensions.map((each) => this.#card(each));
    const empty = h("p", { class: "easel-empty" }, `No extension is installed. Install one here, or put its folder into ${overview.folder}.`);
    this.list.replaceChildren(...(cards.length ? cards : [empty]));
    this.order.show(overview.order);
    this.sites.show(overview.sites);
    this.#showTrash(overview.trash);
  }

  /** @param {Extension} extension */
  #card(extension) {
    const { name } = extension;
    const box = /** @type {HTMLInputElement} */ (h("input", { type: "checkbox", role: "switch", "aria-label": `${name} on` }));
    box.checked = extension.switched_on;
    box.addEventListener("change", () => this.parts.act("switch", { on: { [name]: box.checked } }));
    const web = /^https:\/\//.test(extension.remote) ? extension.remote : "";
    const title = web ? h("a", { href: web, target: "_blank", rel: "noopener noreferrer" }, name) : h("span", {}, name);
    const facts = [extension.branch, extension.version, extension.loaded ? `loaded in ${extension.load_seconds.toFixed(2)} s` : ""].filter(Boolean);
    const more = /** @type {HTMLDetailsElement} */ (h("details", { class: "easel-more", open: this.open.has(name) },
      h("summary", {}, "Details"), this.#details(extension)));
    more.addEventListener("toggle", () => (more.open ? this.open.add(name) : this.open.delete(name)));
    return h("article", { class: "easel-panel easel-extension", "data-extension": name, "data-off": !extension.enabled },
      h("div", { class: "easel-extension-head" }, h("div", { class: "easel-toggle" }, box, h("div", {},
        h("p", { class: "easel-extension-title" }, title), h("p", { class: "easel-soft" }, facts.join(" · ") || "no git checkout"))),
      h("div", { class: "easel-extension-badges" }, ...badges(extension))),
      extension.off_because ? h("p", { class: extension.kept_off ? "easel-error-text" : "easel-soft" }, extension.off_because) : null,
      extension.refused && this.mayInstall ? this.#lenient(name) : null,
      ...extension.requires.map((text) => h("p", { class: "easel-error-text" }, text)), more);
  }

  /** @param {Extension} extension */
  #details(extension) {
    const { name } = extension;
    const rows = [["Commit", extension.commit], ["From", extension.remote], ["Hooks used", extension.hooks.join(", ")],
      ["Shims", Object.entries(extension.shims).map(([shim, count]) => `${shim} × ${count}`).join(", ")],
      ["Not there", extension.missing.join(", ")], ["At odds with", extension.fights.join("; ")], ["Notes", extension.notes.join(" ")]].filter(([, text]) => text);
    const update = extension.update;
    const button = (/** @type {string} */ text, /** @type {string} */ action, /** @type {() => unknown} */ act, changes = true) =>
      h("button", { type: "button", class: "easel-button", "data-action": action, disabled: changes && !this.mayInstall, onclick: act }, text);
    return h("div", { class: "easel-fields" },
      ...extension.errors.map((failure) => h("details", { class: "easel-extension-error" },
        h("summary", {}, h("b", {}, PARTS[failure.part] ?? failure.part), ` ${failure.reason}${failure.count > 1 ? ` (${failure.count} times)` : ""}`),
        failure.where ? h("p", { class: "easel-soft" }, failure.where) : null, h("pre", {}, failure.trace || failure.reason))),
      update?.problem ? h("p", { class: "easel-error-text" }, update.problem) : null,
      update?.commits.length ? h("div", { class: "easel-field" }, h("span", { class: "easel-label" }, "New at the remote"), commitList(update.commits, "")) : null,
      rows.length ? h("dl", { class: "easel-places" }, ...rows.flatMap(([label, text]) => [h("dt", {}, label), h("dd", {}, text)])) : null,
      h("div", { class: "easel-extension-actions" },
        update?.commits.length ? button("Update", "update", () => this.#update([name])) : null,
        extension.is_git ? button("Commits", "history", () => this.#history(extension), false) : null,
        button("Log", "log", () => this.#log(name), false), button("Set up again", "set-up", () => this.parts.act(`one/${encodeURIComponent(name)}/set-up`)),
        button("Remove", "remove", () => this.#remove(name), false)));
  }

  /** What an extension can be given without what was refused. @param {string} name */
  #lenient(name) {
    const act = () => this.parts.act(`one/${encodeURIComponent(name)}/set-up?lenient=true`);
    return h("div", { class: "easel-extension-actions" },
      h("button", { type: "button", class: "easel-button easel-primary", "data-action": "lenient", onclick: act }, "Set up without that"),
      h("p", { class: "easel-soft" }, "All else that it asks for is installed, and it is switched on. Most extensions do with Easel's versions."));
  }

  /** @param {string[]} names */
  #update(names) {
    return this.parts.act("update", { names });
  }

  /** @param {string} name */
  async #remove(name) {
    if (await ask(`Move ${name} to the trash?`, "Remove")) await this.parts.act(`one/${encodeURIComponent(name)}/remove`);
  }

  /** @param {Extension} extension */
  async #history(extension) {
    try {
      const { commits, current } = await get(`/easel/extensions/one/${encodeURIComponent(extension.name)}/history`);
      const list = commitList(commits, current, this.mayInstall ? (commit) => {
        dialog.close();
        this.parts.act(`one/${encodeURIComponent(extension.name)}/commit`, { text: commit });
      } : null);
      const dialog = makeDialog(`Commits of ${extension.name}`, "easel-extension-commits", list);
      dialog.addEventListener("close", () => dialog.remove());
      dialog.showModal();
    } catch (error) {
      this.parts.messages.failure(error);
    }
  }

  /** @param {string} name */
  async #log(name) {
    try {
      const { log } = await get(`/easel/extensions/one/${encodeURIComponent(name)}/log`);
      const dialog = makeDialog(`Log of ${name}`, "easel-extension-log", h("pre", { tabindex: 0 }, log || "Nothing was done with it here yet."));
      dialog.addEventListener("close", () => dialog.remove());
      dialog.showModal();
    } catch (error) {
      this.parts.messages.failure(error);
    }
  }

  /** @param {import("./extensions.js").Overview["trash"]} entries */
  #showTrash(entries) {
    this.trash.hidden = entries.length === 0;
    const empty = async () => {
      if (await ask("Delete for good what lies in the trash?", "Delete")) await this.parts.act("trash/empty");
    };
    this.trash.replaceChildren(h("h3", {}, "Trash"), ...entries.map(({ entry, name, when }) => h("div", { class: "easel-extension-row" },
      h("span", {}, name, " ", h("span", { class: "easel-soft" }, timeText(when))),
      h("button", { type: "button", class: "easel-button", "data-action": "put-back", onclick: () => this.parts.act("trash/put-back", { text: entry }) }, "Put back"))),
      h("div", {}, h("button", { type: "button", class: "easel-button", id: "easel_extensions_empty_trash", onclick: empty }, "Empty the trash")));
  }
}

/** @param {Extension} extension */
function badges(extension) {
  const badge = (/** @type {string} */ text, kind = "") => h("span", { class: kind ? `easel-badge ${kind}` : "easel-badge" }, text);
  const found = [];
  const behind = extension.update?.commits.length ?? 0;
  if (extension.errors.length) found.push(badge(`${extension.errors.length} error${extension.errors.length > 1 ? "s" : ""}`, "easel-bad"));
  if (extension.fights.length) found.push(badge("at odds with another", "easel-bad"));
  if (behind) found.push(badge(`${behind} new commit${behind > 1 ? "s" : ""}`));
  else if (extension.update && !extension.update.problem) found.push(badge("up to date"));
  if (extension.restart) found.push(badge("after restart"));
  if (!extension.enabled) found.push(badge("off"));
  return found;
}

/** @param {import("./extensions.js").Commit[]} commits @param {string} current @param {((commit: string) => void) | null} [choose] */
function commitList(commits, current, choose = null) {
  return h("ol", { class: "easel-extension-commit-list" }, ...commits.map((each) => h("li", { "data-current": each.commit === current },
    h("code", {}, each.commit.slice(0, 8)), h("span", {}, each.title, h("span", { class: "easel-soft" }, `${each.author} · ${timeText(each.when)}`)),
    each.commit === current ? h("span", { class: "easel-badge" }, "here")
      : choose ? h("button", { type: "button", class: "easel-button", onclick: () => choose(each.commit) }, "Go to") : null)));
}

/** @param {number} seconds since 1970 */
export function timeText(seconds) {
  return new Date(seconds * 1000).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}
