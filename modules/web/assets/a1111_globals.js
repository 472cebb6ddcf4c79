/**
 * The globals that scripts of extensions for AUTOMATIC1111 call, by its names. A plain script, so that its functions can
 * be replaced; only loaded when there are extensions, before their scripts and Gradio.
 */
/* exported opts, localization, gradioApp, get_uiCurrentTab, get_uiCurrentTabContent, updateInput, onEdit, randomId */

var a1111Facts = JSON.parse(document.getElementById("a1111-facts")?.textContent ?? "{}");
/** The settings by their keys; as in A1111 there are none before the page is whole, by which scripts tell. @type {Record<string, any>} */
var opts = {};
/** Translations by English text. @type {Record<string, string>} */
var localization = window.localization ?? {};

/** Tooltips by the texts of what they are for; scripts add their own. @type {Record<string, string>} */
var titles = {};

/** @type {Function[]} */ var uiUpdateCallbacks = [];
/** @type {Function[]} */ var uiAfterUpdateCallbacks = [];
/** @type {Function[]} */ var uiLoadedCallbacks = [];
/** @type {Function[]} */ var uiTabChangeCallbacks = [];
/** @type {Function[]} */ var optionsChangedCallbacks = [];
/** @type {number | null} */ var uiAfterUpdateTimeout = null;
/** @type {Element | null} */ var uiCurrentTab = null;

/** What extensions wanted of websites in this page and did not get: origins, with the extensions that asked. @type {Map<string, Set<string>>} */
var a1111Refused = new Map();

document.addEventListener("securitypolicyviolation", (event) => {
  const origin = /^(https|wss):\/\/[^/]+/.exec(event.blockedURI)?.[0];
  if (!origin || event.effectiveDirective.startsWith("script-src")) return;
  const name = /[/=]extensions\/([^/]+)\//.exec(decodeURIComponent(event.sourceFile))?.[1];
  a1111Refused.set(origin, new Set([...(a1111Refused.get(origin) ?? []), ...(name ? [name] : [])]));
});

/** What files are by the ends of their names. @type {Record<string, string>} */
var a1111FileTypes = { png: "image/png", jpg: "image/jpeg", jpeg: "image/jpeg", webp: "image/webp", gif: "image/gif" };

// A picture that a script makes a file of without a word on its kind is one by its name; Gradio 6 refuses it otherwise.
window.File = new Proxy(window.File, {
  construct(original, [parts, name, options], made) {
    const type = options?.type || a1111FileTypes[String(name).split(".").pop()?.toLowerCase() ?? ""];
    return Reflect.construct(original, [parts, name, type ? { ...options, type } : options], made);
  },
});

/** Return what holds the page. @returns {any} */
function gradioApp() {
  const place = /** @type {any} */ (document.getElementsByTagName("gradio-app")[0] ?? document);
  if (place !== document) place.getElementById = (/** @type {string} */ id) => document.getElementById(id);
  return place;
}

/** Return the button of the tab that is open. @returns {HTMLElement | null} */
function get_uiCurrentTab() {
  return document.querySelector("#tabs > .tab-wrapper > [role=tablist] button.selected");
}

/** Return the content of the tab that is open. @returns {HTMLElement | null} */
function get_uiCurrentTabContent() {
  const shown = [...document.querySelectorAll("#tabs > .tabitem[id^=tab_]")];
  return /** @type {HTMLElement | null} */ (shown.find((each) => getComputedStyle(each).display !== "none") ?? null);
}

/** Call back with the mutations whenever the page changes. @param {Function} callback */
function onUiUpdate(callback) {
  uiUpdateCallbacks.push(callback);
}

/** Call back once the page has stopped changing for a moment. @param {Function} callback */
function onAfterUiUpdate(callback) {
  uiAfterUpdateCallbacks.push(callback);
}

/** Call back once, when everything is in the document. @param {Function} callback */
function onUiLoaded(callback) {
  uiLoadedCallbacks.push(callback);
}

/** Call back when another tab was opened. @param {Function} callback */
function onUiTabChange(callback) {
  uiTabChangeCallbacks.push(callback);
}

/** Call back when `opts` was filled or has changed. @param {Function} callback */
function onOptionsChanged(callback) {
  optionsChangedCallbacks.push(callback);
}

/** Call one of an extension's functions: an error in it stops no other. @param {Function} callback @param {any} [argument] */
function executeCallback(callback, argument) {
  try {
    callback(argument);
  } catch (error) {
    console.error("An extension's script failed.", error);
  }
}

/** @param {Function[]} queue @param {any} [argument] */
function executeCallbacks(queue, argument) {
  for (const callback of [...queue]) executeCallback(callback, argument);
}

/** Call what waits for the page to come to rest, later. */
function scheduleAfterUiUpdateCallbacks() {
  if (uiAfterUpdateTimeout !== null) clearTimeout(uiAfterUpdateTimeout);
  uiAfterUpdateTimeout = window.setTimeout(() => executeCallbacks(uiAfterUpdateCallbacks), 200);
}

/** Let Gradio take over the value that a script has given an element. @param {HTMLElement} target */
function updateInput(target) {
  const event = new Event("input", { bubbles: true });
  Object.defineProperty(event, "target", { value: target });
  target.dispatchEvent(event);
}

/**
 * Call back after somebody has stopped typing into an element.
 * @param {string} editId @param {HTMLElement} element @param {number} afterMs @param {() => void} callback
 */
function onEdit(editId, element, afterMs, callback) {
  let timer = 0;
  element.addEventListener("input", () => {
    clearTimeout(timer);
    timer = window.setTimeout(callback, afterMs);
  });
  return () => { clearTimeout(timer); callback(); };
}

/** Return a random name. */
function randomId() {
  return `task(${crypto.getRandomValues(new Uint32Array(3)).join("").slice(0, 15)})`;
}

/** Return the translation of a text, if there is one. @param {string} text */
function getTranslation(text) {
  return text ? localization[text] : undefined;
}

/** Whether there are translations. */
function hasLocalization() {
  return Object.keys(localization).length > 0;
}

/** Ids of elements whose texts are not translated. @type {Record<string, string>} */
var ignore_ids_for_localization = {};

/** @param {ArrayLike<any>} args */
function args_to_array(args) {
  return Array.from(args);
}

/** Whether an element is on screen. @param {HTMLElement} element */
function uiElementIsVisible(element) {
  return Boolean(element && element.offsetParent !== null);
}

/** Whether an element lies within the window. @param {HTMLElement} element */
function uiElementInSight(element) {
  const { top, bottom } = element.getBoundingClientRect();
  return bottom >= 0 && top <= window.innerHeight;
}
