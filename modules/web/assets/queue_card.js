/** One job in the Queue tab. */
import { h } from "./dom.js";
import { duration } from "./progress.js";

const MOST_THUMBNAILS = 4;
const STATE_NAMES = {
  waiting: "Waiting", running: "Running", finished: "Finished",
  interrupted: "Interrupted", failed: "Failed", cancelled: "Cancelled",
};

/**
 * @param {import("./live.js").Job} job
 * @param {{first: boolean, last: boolean}} place where it stands in its list
 * @param {Record<string, any>} actions
 * @param {import("./lightbox.js").Lightbox} lightbox
 */
export function makeCard(job, place, actions, lightbox) {
  const card = h("article", { class: "easel-card", "data-job": job.id, "data-state": job.state },
    makeThumbnails(job, lightbox),
    h("div", { class: "easel-card-body" },
      h("p", { class: "easel-card-prompt", title: job.request.prompt }, job.request.prompt || "(empty prompt)"),
      h("p", { class: "easel-card-facts" }, h("span", { class: "easel-state" }, STATE_NAMES[job.state] ?? job.state), " ", facts(job)),
      job.error ? h("p", { class: "easel-error-text" }, job.error) : null,
      job.state === "running" ? h("div", { class: "easel-bar" }, h("div", { class: "easel-bar-fill" })) : null,
      job.state === "running" ? h("p", { class: "easel-card-progress" }, "Starting…") : null),
    h("div", { class: "easel-card-actions" }, ...makeButtons(job, place, actions)));
  if (job.state === "waiting") makeDraggable(card, job, actions);
  return card;
}

/** @param {import("./live.js").Job} job @param {import("./lightbox.js").Lightbox} lightbox */
function makeThumbnails(job, lightbox) {
  const shown = job.images.slice(0, MOST_THUMBNAILS).map((image, place) =>
    h("button", { type: "button", class: "easel-thumbnail", "aria-label": `Open picture ${place + 1}`, onclick: () => lightbox.open(job.images, place, job.id) },
      h("img", { src: image.url, alt: "", loading: "lazy", decoding: "async" })));
  const rest = job.images.length - MOST_THUMBNAILS;
  return h("div", { class: "easel-thumbnails", "data-count": shown.length }, ...shown, rest > 0 ? h("span", { class: "easel-rest" }, `+${rest}`) : null);
}

/** @param {import("./live.js").Job} job */
function facts(job) {
  const { request } = job;
  const partly = job.made_count > 0 && job.made_count < job.image_count ? `${job.made_count} of ` : "";
  const parts = [
    job.image_count === 1 ? "1 picture" : `${partly}${job.image_count} pictures`,
    `${request.width}×${request.height}`, `${request.steps} steps`, request.sampler, `CFG ${request.cfg_scale}`, `seed ${request.seed}`,
  ];
  if (job.started && job.finished) parts.push(duration(job.finished - job.started));
  parts.push(new Date(job.created * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
  return parts.join(" · ");
}

/** @param {import("./live.js").Job} job @param {{first: boolean, last: boolean}} place @param {Record<string, any>} actions */
function makeButtons(job, place, actions) {
  const button = (/** @type {string} */ text, /** @type {string} */ name, /** @type {string} */ label = text) =>
    h("button", { type: "button", class: text.length === 1 ? "easel-button easel-square" : "easel-button", "data-action": name, title: label, "aria-label": label, onclick: actions[name] }, text);
  const use = button("Use these settings", "use");
  if (job.state === "running") return [use, button("Interrupt", "interrupt")];
  if (job.state === "waiting") {
    const moves = [place.first ? null : button("↑", "up", "Move up"), place.last ? null : button("↓", "down", "Move down")];
    return [...moves, use, button("Cancel", "cancel")];
  }
  const again = job.state === "finished" ? "Run again" : job.images.length ? "Continue" : "Retry";
  return [use, button(again, "retry"), button("✕", "remove", "Remove from the list")];
}

/** @param {HTMLElement} card @param {import("./live.js").Job} job @param {Record<string, any>} actions */
function makeDraggable(card, job, actions) {
  card.draggable = true;
  card.addEventListener("dragstart", (event) => event.dataTransfer?.setData("application/x-easel-job", job.id));
  card.addEventListener("dragover", (event) => {
    if (!event.dataTransfer?.types.includes("application/x-easel-job")) return;
    event.preventDefault();
    card.classList.add("easel-drop");
  });
  card.addEventListener("dragleave", () => card.classList.remove("easel-drop"));
  card.addEventListener("drop", (event) => {
    event.preventDefault();
    card.classList.remove("easel-drop");
    const moved = event.dataTransfer?.getData("application/x-easel-job");
    if (moved && moved !== job.id) actions.moveBefore(moved);
  });
}
