/**
 * Accordions with a switch in their head, context menus, and what else of A1111's page reacts to the user.
 */

/** Called when the hidden checkbox of such an accordion changes. @param {string} id @param {boolean} checked */
function inputAccordionChecked(id, checked) {
  const accordion = /** @type {any} */ (document.getElementById(id));
  if (!accordion?.visibleCheckbox) return;
  accordion.visibleCheckbox.checked = checked;
  accordion.onVisibleCheckboxChange();
}

/** Put a checkbox into an accordion's head that opens it and sets the component's value. @param {any} accordion */
function setupAccordion(accordion) {
  const head = accordion.querySelector(".label-wrap");
  const box = document.querySelector(`#${CSS.escape(accordion.id)}-checkbox input`);
  if (!head || !box || accordion.visibleCheckbox) return;
  const extra = document.getElementById(`${accordion.id}-extra`);
  const isOpen = () => head.classList.contains("open");
  const shown = document.createElement("input");
  shown.type = "checkbox";
  shown.id = `${accordion.id}-visible-checkbox`;
  shown.className = `${box.className} input-accordion-checkbox`;
  shown.checked = isOpen();
  accordion.visibleCheckbox = shown;
  accordion.onVisibleCheckboxChange = () => {
    if (isOpen() !== shown.checked) head.click();
    if (/** @type {HTMLInputElement} */ (box).checked !== shown.checked) /** @type {HTMLInputElement} */ (box).click();
    if (extra) extra.style.display = shown.checked ? "" : "none";
  };
  shown.addEventListener("click", (event) => event.stopPropagation());
  shown.addEventListener("input", accordion.onVisibleCheckboxChange);
  accordion.onChecked = (/** @type {boolean} */ checked) => inputAccordionChecked(accordion.id, checked);
  (head.querySelector("span") ?? head).prepend(shown);
  if (extra) head.append(extra);
  new MutationObserver(() => {
    shown.checked = isOpen();
    accordion.onVisibleCheckboxChange();
  }).observe(head, { attributes: true, attributeFilter: ["class"] });
}

function setupAccordions() {
  for (const accordion of document.querySelectorAll(".input-accordion")) setupAccordion(accordion);
}

onUiLoaded(setupAccordions);
onAfterUiUpdate(setupAccordions);

/** What each context menu offers, by the selector of what it belongs to. @type {Map<string, {id: string, name: string, func: Function}[]>} */
var contextMenus = new Map();

/** @param {string} selector @param {string} name @param {Function} func */
function appendContextMenuOption(selector, name, func) {
  const option = { id: randomId(), name, func };
  contextMenus.set(selector, [...(contextMenus.get(selector) ?? []), option]);
  return option.id;
}

/** @param {string} id */
function removeContextMenuOption(id) {
  for (const [selector, options] of contextMenus) contextMenus.set(selector, options.filter((each) => each.id !== id));
}

/** @param {MouseEvent} event @param {{name: string, func: Function}[]} options */
function showContextMenu(event, options) {
  document.getElementById("context-menu")?.remove();
  const menu = document.createElement("nav");
  menu.id = "context-menu";
  menu.style.cssText = `position:fixed;left:${event.clientX}px;top:${event.clientY}px;z-index:1000`;
  const list = document.createElement("ul");
  list.className = "context-menu-items";
  for (const option of options) {
    const entry = document.createElement("a");
    entry.textContent = option.name;
    entry.addEventListener("click", () => executeCallback(option.func));
    list.append(entry);
  }
  menu.append(list);
  document.body.append(menu);
}

document.addEventListener("click", () => document.getElementById("context-menu")?.remove());
document.addEventListener("contextmenu", (event) => {
  for (const [selector, options] of contextMenus) {
    if (!options.length || !(event.target instanceof Element) || !event.target.closest(selector)) continue;
    event.preventDefault();
    showContextMenu(event, options);
  }
});

/** The prompt box that was typed into last. @type {Record<string, HTMLTextAreaElement | null>} */
var activePromptTextarea = {};

document.addEventListener("focusin", (event) => {
  const found = event.target instanceof HTMLTextAreaElement && event.target.closest("[id$=_prompt]");
  if (found) activePromptTextarea[found.id.split("_")[0]] = /** @type {HTMLTextAreaElement} */ (event.target);
});

/** The canvas of Easel has its own zoom; there is nothing to be attached. */
function applyZoomAndPanIntegration() {}
