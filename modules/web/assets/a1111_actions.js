/** What A1111's own buttons call, for extensions that call or wrap it: tabs, galleries, Generate and its progress. */

/** @param {string} id */
function a1111OpenTab(id) {
  const button = document.querySelector(`#tabs > .tab-wrapper button[role=tab][data-tab-id="${CSS.escape(id)}"]`);
  if (button instanceof HTMLElement) button.click();
}

function switch_to_txt2img() {
  a1111OpenTab("txt2img");
  return Array.from(arguments);
}

/** The places of img2img's tabs in A1111's order. */
var a1111Modes = ["img2img", "sketch", "inpaint", "inpaint_sketch", "inpaint_upload", "batch"];

/** @param {number} place */
function switch_to_img2img_tab(place) {
  a1111OpenTab("img2img");
  const button = document.querySelector(`#mode_img2img [data-mode="${a1111Modes[place]}"]`);
  if (button instanceof HTMLElement) button.click();
}

function switch_to_img2img() {
  switch_to_img2img_tab(0);
  return Array.from(arguments);
}

function switch_to_sketch() {
  switch_to_img2img_tab(1);
  return Array.from(arguments);
}

function switch_to_inpaint() {
  switch_to_img2img_tab(2);
  return Array.from(arguments);
}

function switch_to_inpaint_sketch() {
  switch_to_img2img_tab(3);
  return Array.from(arguments);
}

function switch_to_extras() {
  a1111OpenTab("extras");
  return Array.from(arguments);
}

/** Return the place of the chosen tab below an element. @param {string} id */
function get_tab_index(id) {
  const place = document.getElementById(id);
  const list = place?.matches("[role=tablist]") ? place : place?.querySelector(":scope > .tab-wrapper > [role=tablist]");
  const buttons = [...(list?.querySelectorAll(":scope > button") ?? [])];
  const chosen = (/** @type {Element} */ button) => button.classList.contains("selected") || button.getAttribute("aria-selected") === "true";
  return Math.max(0, buttons.findIndex(chosen));
}

/** @param {string} id @param {ArrayLike<any>} args */
function create_tab_index_args(id, args) {
  const values = Array.from(args);
  values[0] = get_tab_index(id);
  return values;
}

function get_img2img_tab_index() {
  const values = Array.from(arguments);
  const shown = document.querySelector("#mode_img2img [data-mode][aria-selected=true]");
  values.splice(-2);
  values[0] = Math.max(0, a1111Modes.indexOf(shown?.getAttribute("data-mode") ?? ""));
  return values;
}

/** @returns {HTMLElement[]} */
function all_gallery_buttons() {
  const found = document.querySelectorAll("[style='display: block;'].tabitem div[id$=_gallery].gradio-gallery .thumbnails > .thumbnail-item.thumbnail-small");
  return [.../** @type {NodeListOf<HTMLElement>} */ (found)].filter(uiElementIsVisible);
}

function selected_gallery_button() {
  return all_gallery_buttons().find((button) => button.classList.contains("selected")) ?? null;
}

function selected_gallery_index() {
  return all_gallery_buttons().findIndex((button) => button.classList.contains("selected"));
}

/** @param {string} containerId */
function gallery_container_buttons(containerId) {
  return [...document.querySelectorAll(`#${CSS.escape(containerId)} .thumbnail-item.thumbnail-small`)];
}

/** @param {string} containerId */
function selected_gallery_index_id(containerId) {
  return gallery_container_buttons(containerId).findIndex((button) => button.classList.contains("selected"));
}

/** @param {any[]} gallery */
function extract_image_from_gallery(gallery) {
  if (gallery.length === 0) return [null];
  const chosen = gallery.length === 1 ? 0 : selected_gallery_index();
  return chosen < 0 || chosen >= gallery.length ? [gallery[0]] : [gallery[chosen]];
}

window.args_to_array = Array.from;

/** @param {string} tabname @param {boolean} show */
function showSubmitButtons(tabname, show) {
  for (const [name, visible] of /** @type {[string, boolean][]} */ ([["interrupt", !show], ["skip", !show]])) {
    document.getElementById(`${tabname}_${name}`)?.toggleAttribute("data-easel-shown", visible);
  }
}

/** @param {string} tabname @param {boolean} show */
function showSubmitInterruptingPlaceholder(tabname, show) {
  showSubmitButtons(tabname, !show);
}

/** Return a click's values without the galleries' ones, which would be uploaded. @param {ArrayLike<any>} args */
function create_submit_args(args) {
  const values = Array.from(args);
  if (Array.isArray(values[values.length - 3])) values[values.length - 3] = null;
  return a1111WithForm(values);
}

/** @param {string} tabname @param {ArrayLike<any>} args */
function a1111Submit(tabname, args) {
  const id = randomId();
  localStorage.setItem(`${tabname}_task_id`, id);
  const container = document.getElementById(`${tabname}_gallery_container`);
  requestProgress(id, container, document.getElementById(`${tabname}_gallery`), () => localStorage.removeItem(`${tabname}_task_id`));
  const values = create_submit_args(args);
  values[0] = id;
  return values;
}

function submit() {
  return a1111Submit("txt2img", arguments);
}

function submit_img2img() {
  return a1111Submit("img2img", arguments);
}

function submit_txt2img_upscale() {
  return submit(...arguments);
}

/**
 * Ask for a task's progress until it has ended.
 * @param {string} taskId @param {Element | null} container @param {Element | null} gallery
 * @param {(() => void) | undefined} atEnd @param {((progress: any) => void) | undefined} [onProgress] @param {number} [inactivityTimeout] seconds
 */
function requestProgress(taskId, container, gallery, atEnd, onProgress, inactivityTimeout = 40) {
  const begun = Date.now();
  let seen = false;
  const ask = async () => {
    try {
      const answer = await fetch("/internal/progress", {
        method: "POST", headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ id_task: taskId, live_preview: false, id_live_preview: -1 }),
      });
      const progress = answer.ok ? await answer.json() : { completed: true };
      seen ||= progress.active;
      const given_up = !seen && !progress.queued && Date.now() - begun > inactivityTimeout * 1000;
      if (progress.completed || (seen && !progress.active && !progress.queued) || given_up) { atEnd?.(); return; }
      onProgress?.(progress);
      setTimeout(ask, 500);
    } catch {
      atEnd?.();
    }
  };
  ask();
}

/** @param {string} seedId */
function setRandomSeed(seedId) {
  const box = /** @type {HTMLInputElement | null} */ (document.querySelector(`#${CSS.escape(seedId)} :is(input, textarea)`));
  if (!box) return [];
  box.value = "-1";
  updateInput(box);
  return [];
}

/** @param {string} tabname */
function switchWidthHeight(tabname) {
  document.getElementById(`${tabname}_res_switch_btn`)?.click();
  return [];
}

/** Put a text into a prompt box, and tell Gradio. @param {string} id @param {string} text */
function a1111SetPrompt(id, text) {
  const box = /** @type {HTMLTextAreaElement | null} */ (document.querySelector(`#${id} textarea`));
  if (!box) return;
  box.value = text;
  updateInput(box);
}

/** Choose a checkpoint by its title. @param {string} name */
function selectCheckpoint(name) {
  fetch("/easel/checkpoint", {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ checkpoint: name }),
  });
}

/** @param {string} tabname @param {...any} args */
function update_txt2img_tokens(...args) {
  return args;
}

function update_img2img_tokens(/** @type {any[]} */ ...args) {
  return args;
}

function restart_reload() {
  location.reload();
  return [];
}

function confirm_clear_prompt(/** @type {string} */ prompt, /** @type {string} */ negative) {
  return confirm("Delete prompt?") ? ["", ""] : [prompt, negative];
}

/** The page of Easel keeps the gallery's choice itself. */
function rememberGallerySelection() {}
function attachGalleryListeners() {}
function dimensionChange() {}
function updateImg2imgResizeToTextAfterChangingImage() { return []; }
function currentImg2imgSourceResolution(/** @type {any[]} */ ...args) { return args; }
function onCalcResolutionHires() { return []; }
function updateOnBackgroundChange() {}
function modalSaveImage() { document.querySelector("[data-tool=download]")?.dispatchEvent(new MouseEvent("click", { bubbles: true })); }
