/**
 * Verify: the server makes a picture again from what is known of it, and the dialog shows whether the two are the same.
 * @typedef {{name: string, then: any, now: any, same: boolean}} Fact
 * @typedef {{state: string, error: string | null, identical: boolean | null, max: number | null, mean: number | null,
 *   share: number | null,
 *   difference: string | null, made: string | null, original: string | null, facts: Fact[]}} Verdict
 * @typedef {{job: string, index: number} | {digest: string}} Subject
 */
import { get, post } from "./api.js";
import { makeDialog } from "./dialogs.js";
import { h } from "./dom.js";
import { describe } from "./progress.js";

const POLL_MS = 400;

export class Verification {
  /** @param {import("./live.js").Live} live */
  constructor(live) {
    this.live = live;
    /** @type {HTMLDialogElement | null} */
    this.dialog = null;
    this.content = h("div", { class: "easel-verify", "aria-live": "polite" });
    /** Counts the verifications, so that an answer to an earlier one is not shown. */
    this.number = 0;
    this.job = "";
    this.progress = h("p", { class: "easel-soft" });
  }

  start() {
    this.live.on("change", () => {
      const { progress } = this.live;
      if (progress && progress.job === this.job) this.progress.textContent = describe(progress);
    });
  }

  /** Have a picture made again and show the outcome. @param {Subject} subject */
  async show(subject) {
    this.dialog ??= makeDialog("Verify", "easel-verify-dialog", this.content);
    const number = ++this.number;
    this.progress.textContent = "Waiting for its turn…";
    this.content.replaceChildren(h("p", {}, "The picture is made again from its settings."), this.progress);
    if (!this.dialog.open) this.dialog.showModal();
    try {
      const { job } = await post("/easel/verify", subject);
      this.job = job;
      await this.#follow(job, number);
    } catch (error) {
      if (number === this.number) this.#fail(error instanceof Error ? error.message : String(error));
    }
  }

  /** @param {string} job @param {number} number */
  async #follow(job, number) {
    while (number === this.number && this.dialog?.open) {
      /** @type {Verdict} */
      const verdict = await get(`/easel/verify/${encodeURIComponent(job)}`);
      if (number !== this.number) return;
      if (verdict.state === "failed") this.#fail(verdict.error ?? "The picture could not be made again.");
      else if (verdict.state === "finished") this.content.replaceChildren(...showVerdict(verdict));
      if (verdict.state === "failed" || verdict.state === "finished") return;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  /** @param {string} text */
  #fail(text) {
    this.content.replaceChildren(h("p", { class: "easel-error-text", role: "alert" }, text));
  }
}

/** @param {Verdict} verdict */
function showVerdict(verdict) {
  const { identical, original, made, difference, facts = [] } = verdict;
  const headline = identical === null ? "The two pictures cannot be compared" : identical ? "Identical" : "Not identical";
  const state = identical === null ? "unknown" : identical ? "good" : "bad";
  const changed = facts.filter((fact) => !fact.same);
  return [
    h("p", { class: "easel-verdict", "data-state": state }, headline),
    h("p", { class: "easel-soft" }, sentence(verdict, changed.length)),
    h("div", { class: "easel-compare" }, figure("As it was", original), figure("Made again", made), identical ? null : figure("Difference", difference)),
    changed.length ? makeTable("Different, or not known for sure", changed) : null,
    facts.length > changed.length ? h("details", {}, h("summary", {}, `${facts.length - changed.length} facts are as they were`),
      makeTable("", facts.filter((fact) => fact.same))) : null,
  ].filter((node) => node !== null);
}

/** @param {Verdict} verdict @param {number} changed */
function sentence({ identical, max, mean, share }, changed) {
  if (identical) return "Every pixel is the same as in the original.";
  if (max === null || mean === null || share === null) return changed ? "They differ in size or kind; see the table." : "They differ in size or kind.";
  const numbers = `${round(share)} % of the pixels differ, by at most ${round(max)} of 255 and by ${round(mean)} on average.`;
  return changed ? numbers : `${numbers} All known facts are the same; the rest is the machine or the versions.`;
}

/** @param {number} value */
function round(value) {
  return value >= 10 ? Math.round(value) : Number(value.toPrecision(2));
}

/** @param {string} text @param {string | null} address */
function figure(text, address) {
  if (!address) return null;
  return h("figure", {}, h("a", { href: address, target: "_blank", rel: "noopener" }, h("img", { src: address, alt: text })), h("figcaption", {}, text));
}

/** @param {string} title @param {Fact[]} facts */
function makeTable(title, facts) {
  const cell = (/** @type {any} */ value) => h("td", {}, value === null || value === undefined || value === "" ? "—" : String(value));
  return h("table", { class: "easel-facts-table" }, title ? h("caption", {}, title) : null,
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Fact"), h("th", { scope: "col" }, "Then"), h("th", { scope: "col" }, "Now"))),
    h("tbody", {}, ...facts.map((fact) => h("tr", {}, h("th", { scope: "row" }, fact.name), cell(fact.then), cell(fact.now)))));
}
