/** Small helpers for the document. Text only ever enters as text nodes, so nothing a user typed becomes markup. */

/**
 * Create an element.
 * @param {string} tag
 * @param {Record<string, any>} [attributes] `class`, plain attributes, or `onclick`-like functions
 * @param {...(Node | string | number | null | undefined)} children
 * @returns {HTMLElement}
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children) {
    if (child !== null && child !== undefined) element.append(child instanceof Node ? child : String(child));
  }
  return element;
}

/** @type {{selector: string, callback: (element: HTMLElement) => void, seen: Element | null}[]} */
const waiting = [];

function look() {
  for (const entry of waiting) {
    const element = document.querySelector(entry.selector);
    if (element === entry.seen) continue;
    entry.seen = element;
    if (element) entry.callback(/** @type {HTMLElement} */ (element));
  }
}

/**
 * Call back with the element once it is there, and again whenever Gradio has replaced it.
 * @param {string} selector
 * @param {(element: HTMLElement) => void} callback
 */
export function whenPresent(selector, callback) {
  waiting.push({ selector, callback, seen: null });
  look();
}

/**
 * Call back when the element is on screen for the first time, as when its tab is opened, and again when Gradio has replaced it.
 * @param {string} selector
 * @param {(element: HTMLElement) => void} callback
 */
export function whenSeen(selector, callback) {
  whenPresent(selector, (element) => {
    const observer = new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      observer.disconnect();
      callback(element);
    });
    observer.observe(element);
  });
}

/** Watch the document for elements that come and go; at most once per frame. */
export function watchDocument() {
  let due = false;
  new MutationObserver(() => {
    if (due) return;
    due = true;
    setTimeout(() => {
      due = false;
      look();
    }, 0);
  }).observe(document.documentElement, { childList: true, subtree: true });
}

/** Press one of the page's buttons, a hidden one too. @param {string} id */
export function press(id) {
  const found = document.getElementById(id);
  const button = found?.matches("button") ? found : found?.querySelector("button");
  button?.click();
  return Boolean(button);
}

/** Show one of the page's tabs. @param {string} id */
export function openTab(id) {
  const tab = document.querySelector(`#tabs button[role=tab][data-tab-id="${id}"]`);
  if (tab instanceof HTMLElement) tab.click();
}

/**
 * Return a function that runs `action` once the calls to it have paused.
 * @param {() => void} action
 * @param {number} milliseconds
 */
export function debounce(action, milliseconds) {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = window.setTimeout(action, milliseconds);
  };
}

/** Copy a text; works without a secure context too. @param {string} text */
export async function copyText(text) {
  if (navigator.clipboard && window.isSecureContext) {
    await navigator.clipboard.writeText(text);
    return;
  }
  const area = /** @type {HTMLTextAreaElement} */ (h("textarea", { class: "easel-offscreen" }));
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}
