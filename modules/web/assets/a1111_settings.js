/** The settings as A1111's page has them: a box by each option's key with its component in it, always in the document. */

/**
 * Return the inside of an option's box. A text is in a text area and in an input, since either may be what its
 * component had; a number with bounds is on a slider too.
 * @param {any} value @param {number[] | undefined} bounds least, most and step
 */
function a1111OptionLabel(value, bounds) {
  const label = document.createElement("label");
  label.className = "a1111-option";
  const kinds = typeof value === "boolean" ? ["checkbox"] : typeof value === "number" ? ["number"] : ["textarea", "text"];
  for (const kind of kinds) {
    const control = /** @type {HTMLInputElement} */ (document.createElement(kind === "textarea" ? kind : "input"));
    if (kind !== "textarea") control.type = kind;
    control.tabIndex = -1;
    label.append(control);
  }
  if (typeof value === "number" && bounds) {
    const slider = document.createElement("input");
    slider.type = "range";
    slider.tabIndex = -1;
    [slider.min, slider.max, slider.step] = bounds.map(String);
    label.append(slider);
  }
  a1111ShowOption(label, value);
  return label;
}

/** @param {Element} label as `a1111OptionLabel` made it @param {any} value */
function a1111ShowOption(label, value) {
  for (const control of /** @type {NodeListOf<HTMLInputElement>} */ (label.querySelectorAll("input, textarea"))) {
    if (control.type === "checkbox") control.checked = Boolean(value);
    else control.value = Array.isArray(value) ? value.join(",") : String(value ?? "");
  }
}

/** Make the foot of A1111's page, hidden: scripts read from it whose API this is. */
function a1111Footer() {
  if (document.getElementById("footer")) return;
  const foot = document.createElement("div");
  foot.id = "footer";
  foot.hidden = true;
  const versions = document.createElement("div");
  const version = document.createElement("a");
  versions.className = "versions";
  version.textContent = a1111Facts.version ?? "";
  versions.append("version: ", version);
  foot.append(versions);
  const page = gradioApp();
  (page instanceof Element ? page : document.body).append(foot);
}

/** What A1111's tab items of the settings are here, by their sections' names; scripts add to them. @type {Map<string, HTMLElement>} */
var a1111Sections = new Map();

/** Return what holds an option's section, if A1111 has one of a name. @param {string} key @param {HTMLElement} place */
function a1111Section(key, place) {
  const name = a1111Facts.sections?.[key];
  if (!name) return null;
  const known = a1111Sections.get(name);
  if (known) return known;
  const section = document.createElement("div");
  section.id = `settings_${name}`;
  a1111Sections.set(name, section);
  place.append(section);
  return section;
}

/** Make a hidden box for every setting; those of the Settings tab take their places when it is opened. */
function a1111Settings() {
  const place = document.createElement("div");
  place.id = "a1111_settings";
  place.hidden = true;
  for (const [key, value] of Object.entries(opts)) {
    if (document.getElementById(`setting_${key}`)) continue;
    const box = document.createElement("div");
    box.id = `setting_${key}`;
    box.dataset.a1111Option = key;
    box.append(a1111OptionLabel(value, a1111Facts.bounds?.[key]));
    (a1111Section(key, place) ?? place).append(box);
  }
  const page = gradioApp();
  (page instanceof Element ? page : document.body).append(place);
  onAfterUiUpdate(a1111AdoptSettings);
  window.addEventListener("easel-settings-rows", a1111AdoptSettings);
}

/**
 * Put a row of the Settings tab into what holds its section, which takes its place in the tab with the first one.
 * @param {HTMLElement} row @param {string} key
 */
function a1111EnterSection(row, key) {
  const place = document.getElementById("a1111_settings");
  const holder = place && a1111Section(key, place);
  const shown = row.closest(".easel-section");
  if (!place || !holder || !shown || holder.contains(row)) return;
  if (!holder.closest("#easel_settings")) {
    for (const old of holder.querySelectorAll(":scope > .easel-option")) old.remove();
    // Of these the tab shows none, or shows it in a moment.
    place.append(...holder.querySelectorAll(":scope > [data-a1111-option]"));
    shown.append(holder);
  }
  // Sections of A1111's may share a name; a holder is in one of ours.
  if (holder.parentElement !== shown) return;
  const before = [...holder.querySelectorAll(":scope > .easel-option")].pop();
  if (before) before.after(row);
  else holder.prepend(row);
}

/** Give the rows of the Settings tab the ids, with what their controls lack in them, in place of the hidden boxes. */
function a1111AdoptSettings() {
  for (const row of document.querySelectorAll("#easel_settings .easel-option:not([data-a1111-option])")) {
    const control = row.querySelector("[id^=setting_]");
    if (!(row instanceof HTMLElement) || !control) continue;
    const key = control.id.slice("setting_".length);
    a1111EnterSection(row, key);
    document.querySelector(`[data-a1111-option="${CSS.escape(key)}"]:not(.easel-option)`)?.remove();
    row.querySelector(`label[for="${CSS.escape(control.id)}"]`)?.setAttribute("for", `${control.id}_control`);
    row.id = control.id;
    control.id = `${control.id}_control`;
    row.dataset.a1111Option = key;
    const complete = !["string", "number"].includes(typeof opts[key]) || control.localName === "textarea";
    if (complete) continue;
    const label = a1111OptionLabel(opts[key], undefined);
    label.hidden = true;
    row.append(label);
  }
  for (const section of a1111Sections.values()) {
    if (!section.isConnected) document.getElementById("a1111_settings")?.append(section);
  }
}

/** Take over the settings as they are on the server now, and tell who wants to know. */
async function a1111ReadOptions() {
  const answer = await fetch("/easel/settings");
  if (!answer.ok) return;
  for (const { key, value } of (await answer.json()).options) {
    if (JSON.stringify(opts[key]) === JSON.stringify(value)) continue;
    opts[key] = value;
    const label = document.querySelector(`[data-a1111-option="${CSS.escape(key)}"] > .a1111-option`);
    if (label) a1111ShowOption(label, value);
  }
  executeCallbacks(optionsChangedCallbacks);
}
