/** Remembers which of a page's two prompts had the cursor last, and which ever had it. */

/** @typedef {"prompt" | "negative_prompt"} PromptName */

export class PromptCursor {
  /** @param {string} page the tab that the prompts are in */
  constructor(page) {
    this.selectors = { prompt: `#${page}_prompt textarea`, negative_prompt: `#${page}_neg_prompt textarea` };
    /** @type {PromptName} */
    this.active = "prompt";
    /** @type {Set<PromptName>} */
    this.visited = new Set();
  }

  start() {
    document.addEventListener("focusin", (event) => {
      for (const name of /** @type {PromptName[]} */ (Object.keys(this.selectors))) {
        if (!(event.target instanceof Element) || !event.target.matches(this.selectors[name])) continue;
        this.active = name;
        this.visited.add(name);
      }
    });
  }

  /** @param {PromptName} name @returns {HTMLTextAreaElement | null} */
  area(name) {
    return document.querySelector(this.selectors[name]);
  }

  /** The text of a prompt and what is selected in it; where the cursor never was, its end. @param {PromptName} name */
  place(name) {
    const area = this.area(name);
    const text = area?.value ?? "";
    if (!area || !this.visited.has(name)) return { text, start: text.length, end: text.length };
    return { text, start: area.selectionStart, end: area.selectionEnd };
  }

  /**
   * Write a prompt as typing would, so that undo works; where that would raise a keyboard over the page, without.
   * @param {PromptName} name @param {{text: string, end: number}} after
   */
  write(name, after) {
    const area = this.area(name);
    if (!area || area.value === after.text) return;
    const { active } = this;
    const seen = this.visited.has(name);
    if (matchMedia("(pointer: coarse)").matches || !typed(area, after.text)) {
      Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, "value")?.set?.call(area, after.text);
      area.dispatchEvent(new Event("input", { bubbles: true }));
    }
    area.setSelectionRange(after.end, after.end);
    this.active = active;
    if (!seen) this.visited.delete(name);
  }
}

/** @param {HTMLTextAreaElement} area @param {string} text */
function typed(area, text) {
  area.focus({ preventScroll: true });
  area.setSelectionRange(0, area.value.length);
  const done = text === "" ? document.execCommand("delete") : document.execCommand("insertText", false, text);
  return done && area.value === text;
}
