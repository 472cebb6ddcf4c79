/**
 * Lets scripts find what Gradio 3's document had, and tells them when it changes. Runs after all functions are there.
 */

/** Where Gradio 6's document is another: what selectors say, and what they mean now. @type {[RegExp, string][]} */
var a1111Selectors = [
  [/#tabs\s*>\s*\.tab-nav/g, "#tabs > .tab-wrapper > .tab-container[role=tablist]"],
  [/#mode_img2img\s*>?\s*(div)?\.tab-nav/g, "#mode_img2img"],
  [/\.tab-nav/g, ".tab-container[role=tablist]"],
  [/label(\.[\w-]+)?\s*>\s*(textarea|input)/g, "label$1 $2"],
  [/\bul\.options\b/g, "ul.option-list"],
  [/#script_list\b/g, "[id$=_script_list]"],
  // Tabs' buttons are there twice: hidden ones by which Gradio measures how many fit.
  [/(^|[\s>])button$/g, "$1button:not(.tab-container[aria-hidden=true] > button)"],
];

/** @param {string} selector */
function a1111Selector(selector) {
  if (typeof selector !== "string" || !/tab-nav|label|ul\.options|#script_list|button$/.test(selector)) return selector;
  return a1111Selectors.reduce((changed, [pattern, text]) => changed.replace(pattern, text), selector);
}

for (const owner of [Document.prototype, DocumentFragment.prototype, Element.prototype]) {
  for (const name of ["querySelector", "querySelectorAll", "closest", "matches"]) {
    const original = /** @type {any} */ (owner)[name];
    if (!original) continue;
    /** @type {any} */ (owner)[name] = function (/** @type {string} */ selector) {
      return original.call(this, a1111Selector(selector));
    };
  }
}

/** Give elements the classes by which style sheets know them. */
function a1111Classes() {
  for (const list of document.querySelectorAll(".tab-container[role=tablist]:not(.tab-nav)")) list.classList.add("tab-nav");
}

/** The tabs within extensions' own that are watched. @type {WeakSet<HTMLElement>} */
var a1111Tabs = new WeakSet();

/** Have what a tab within a tab shows be a block, by which scripts know the open one; Gradio 6 has a flexible box there. */
function a1111Panels() {
  /** @param {HTMLElement} panel */
  const mend = (panel) => { if (panel.style.display === "flex") panel.style.display = "block"; };
  for (const panel of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("#tabs > .tabitem .tabitem"))) {
    if (a1111Tabs.has(panel)) continue;
    a1111Tabs.add(panel);
    new MutationObserver(() => mend(panel)).observe(panel, { attributes: true, attributeFilter: ["style"] });
    mend(panel);
  }
}

/** Have scripts' controls in a group, by whose class scripts find them; to the eye it is nothing. */
function a1111Groups() {
  for (const tab of ["txt2img", "img2img"]) {
    const place = document.getElementById(`${tab}_script_container`);
    if (!place || place.querySelector(":scope > .styler")) continue;
    const group = document.createElement("div");
    group.className = "styler";
    group.style.display = "contents";
    // With what Svelte has between them, by which it knows their place.
    group.append(...place.childNodes);
    place.append(group);
  }
}

/** Show the tooltips that extensions gave to their components. */
function a1111Tooltips() {
  for (const { props } of /** @type {any} */ (window).gradio_config?.components ?? []) {
    if (!props?.webui_tooltip || !props.elem_id) continue;
    const element = document.getElementById(props.elem_id);
    if (element && !element.title) element.title = props.webui_tooltip;
  }
  for (const element of document.querySelectorAll("#tabs button, #tabs label > span, #tabs select")) {
    const text = titles[element.textContent?.trim() ?? ""] ?? titles[/** @type {HTMLInputElement} */ (element).value];
    if (text && element instanceof HTMLElement && !element.title) element.title = text;
  }
}

/** Have all of img2img's canvases made, whose ids scripts look for; Easel makes them when they are first shown. */
async function a1111Canvases() {
  const panel = await /** @type {any} */ (window).easel.pages.img2img.panel();
  const shown = panel.mode;
  for (const name of a1111Modes) if (name !== "batch") panel.choose(name);
  panel.choose(shown);
  a1111FollowPictures(panel);
}

/** What img2img's open sub-tab holds at the server; empty while that is not known. @type {Record<string, string>} */
var a1111Pictures = {};

/** Know at any time what img2img would send, since extensions' events take it at once. @param {any} panel */
function a1111FollowPictures(panel) {
  let asked = 0;
  const look = async () => {
    const number = ++asked;
    a1111Pictures = {};
    // More may follow, such as the next stroke.
    await new Promise((resolve) => setTimeout(resolve, a1111QuietMs));
    if (number !== asked) return;
    const found = await panel.pictures().catch(() => ({}));
    if (number === asked) a1111Pictures = found;
  };
  for (const canvas of panel.canvases.values()) for (const name of ["picture", "drawing"]) canvas.addEventListener(name, look);
  const choose = panel.choose.bind(panel);
  panel.choose = (/** @type {string} */ mode) => {
    choose(mode);
    look();
  };
  look();
}

/** Put canvases where extensions have boxes to paint on; their scripts come when there are such boxes. */
async function a1111Paint() {
  if (!document.querySelector(".a1111-canvas:not([data-canvas])")) return;
  const address = new URL("a1111_canvas.js", a1111Place).href;
  try {
    (await import(address)).mountCanvases(document, /** @type {any} */ (window).easel.messages);
  } catch (error) {
    console.error(error);
  }
}

/** Return the numbers of Gradio's for the tabs of the page, in order. @returns {number[]} */
function a1111TabNumbers() {
  const { components, layout } = /** @type {any} */ (window).gradio_config ?? { components: [], layout: {} };
  const tabs = components.find((/** @type {any} */ each) => each.props?.elem_id === "tabs");
  /** @param {any} node @returns {any} */
  const find = (node) => node.id === tabs?.id ? node : node.children?.map(find).find(Boolean);
  return find(layout)?.children.map((/** @type {any} */ child) => child.id) ?? [];
}

/** Have the tabs that were not opened yet made too, one after another, while the first can already be used. */
async function a1111MakeTabs() {
  for (const number of a1111TabNumbers()) {
    // What the user does in the meantime comes first.
    await new Promise((resolve) => setTimeout(resolve, 0));
    await /** @type {any} */ (globalThis).easelTree?.render_previously_invisible_children(number);
  }
}

/** Where these scripts are. */
var a1111Place = /** @type {HTMLScriptElement} */ (document.currentScript).src;

/** So long nothing may come into the document before it counts as complete. */
var a1111QuietMs = 300;
/** So long it is waited for that at most. */
var a1111PatienceMs = 5000;

/** Begin to watch the page; when everything is there, extensions are told, once. */
function a1111Watch() {
  let [finishing, loaded] = [false, false];
  let ready = 0;
  let quiet = 0;
  const finish = async () => {
    if (finishing) return;
    finishing = true;
    // Scripts look for what is in the boxes to paint on as soon as they are told.
    await a1111Paint();
    loaded = true;
    Object.assign(opts, a1111Facts.opts);
    a1111Tooltips();
    a1111Groups();
    a1111Settings();
    a1111Footer();
    executeCallbacks(uiLoadedCallbacks);
    executeCallbacks(optionsChangedCallbacks);
    document.documentElement.dataset.extensions = "loaded";
    onAfterUiUpdate(a1111Paint);
    look([]);
  };
  /** @param {MutationRecord[]} mutations */
  const look = (mutations) => {
    a1111Classes();
    a1111Panels();
    if (!loaded && ready && document.querySelector("#img2img_prompt textarea") && document.getElementById("img2img_image")) {
      clearTimeout(quiet);
      if (Date.now() - ready > a1111PatienceMs) finish();
      else quiet = window.setTimeout(finish, a1111QuietMs);
    }
    // Gradio 6 builds the page piece by piece; scripts expect it to be whole whenever they are called.
    if (!loaded) return;
    executeCallbacks(uiUpdateCallbacks, mutations);
    scheduleAfterUiUpdateCallbacks();
    const tab = get_uiCurrentTab();
    if (tab && tab !== uiCurrentTab) {
      uiCurrentTab = tab;
      executeCallbacks(uiTabChangeCallbacks);
    }
  };
  new MutationObserver(look).observe(document.documentElement, { childList: true, subtree: true });
  document.addEventListener("click", (event) => {
    if (!(event.target instanceof Element)) return;
    if (event.target.closest("#tabs > .tab-wrapper")) setTimeout(() => look([]), 0);
    const mode = event.target.closest("#mode_img2img [role=tab]");
    if (mode) document.getElementById(`a1111_${mode.id}_chosen`)?.click();
  });
  // The form is filled when Gradio's events work; what scripts set before that would be lost.
  const wait = () => {
    const easel = /** @type {any} */ (window).easel;
    if (!easel) { setTimeout(wait, 50); return; }
    const forms = Object.values(easel.pages).map((/** @type {any} */ page) => page.form.ready);
    const tabs = easel.form.ready.then(a1111MakeTabs).catch(console.error);
    Promise.all([a1111Canvases().catch(console.error), tabs, ...forms]).then(() => {
      ready = Date.now();
      look([]);
    });
  };
  wait();
  window.addEventListener("easel-settings", () => a1111ReadOptions());
}

if (document.body) a1111Watch();
else document.addEventListener("DOMContentLoaded", a1111Watch);
