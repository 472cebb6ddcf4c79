/** Backups of the whole set of extensions. */
import { ask } from "./dialogs.js";
import { h } from "./dom.js";
import { timeText } from "./extension_list.js";
import { textBox } from "./panels.js";

/** @typedef {{file: string, name: string, created: number, extensions: {name: string, enabled: boolean, version: string}[]}} Backup */

export class BackupList {
  /** @param {import("./extension_list.js").Parts} parts */
  constructor(parts) {
    this.parts = parts;
    this.name = textBox("backup_name", { placeholder: "Config", "aria-label": "Name of the backup" });
    const save = async () => {
      if (await parts.act("backups", { text: this.name.value })) this.name.value = "";
    };
    this.list = h("div", { class: "easel-extension-list" });
    this.box = h("section", { class: "easel-fields", role: "tabpanel" },
      h("p", { class: "easel-soft" }, "A backup is a list: which extensions there are, at which commits, and which are on. Their own files and settings are not in it."),
      h("div", { class: "easel-extension-bar" }, this.name, h("button", { type: "button", class: "easel-button easel-primary", id: "backup_save", onclick: save }, "Back up now")), this.list);
  }

  /** @param {import("./extensions.js").Overview} overview */
  show(overview) {
    const restore = async (/** @type {Backup} */ backup) => {
      if (await ask(`Make all extensions as in “${backup.name}”? Others are switched off.`, "Restore")) await this.parts.act("backups/restore", { text: backup.file });
    };
    const remove = async (/** @type {Backup} */ backup) => {
      if (await ask(`Delete the backup “${backup.name}”?`, "Delete")) await this.parts.act("backups/delete", { text: backup.file });
    };
    this.list.replaceChildren(...overview.backups.map((/** @type {Backup} */ backup) => h("article", { class: "easel-panel easel-extension", "data-backup": backup.file },
      h("div", { class: "easel-extension-head" }, h("div", {}, h("p", { class: "easel-extension-title" }, backup.name), h("p", { class: "easel-soft" }, timeText(backup.created))),
        h("div", { class: "easel-extension-actions" },
          h("button", { type: "button", class: "easel-button", "data-action": "restore", disabled: Boolean(overview.why_not), onclick: () => restore(backup) }, "Restore"),
          h("button", { type: "button", class: "easel-button", "data-action": "delete", onclick: () => remove(backup) }, "Delete"))),
      h("p", { class: "easel-soft" }, backup.extensions.map((each) => `${each.name}${each.version ? ` ${each.version}` : ""}${each.enabled ? "" : " (off)"}`).join(", ") || "no extensions"))));
  }
}
