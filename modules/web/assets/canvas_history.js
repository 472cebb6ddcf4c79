/** Undo and redo, within a budget of memory. */

/** What the steps may hold together; the newest is always kept. */
const LARGEST = 128 * 1024 * 1024;
const MOST_STEPS = 200;

/** @typedef {{bytes: number, apply: () => Step}} Step `apply` goes back, and returns the way forward again */

export class History {
  constructor() {
    /** @type {Step[]} */
    this.done = [];
    /** @type {Step[]} */
    this.undone = [];
  }

  clear() {
    this.done = [];
    this.undone = [];
  }

  /** Remember how to undo what was just done. @param {Step} step */
  push(step) {
    this.undone = [];
    keep(this.done, step);
  }

  /** @returns {boolean} whether there was anything to undo */
  undo() {
    return move(this.done, this.undone);
  }

  /** @returns {boolean} whether there was anything to do again */
  redo() {
    return move(this.undone, this.done);
  }
}

/** @param {Step[]} from @param {Step[]} to */
function move(from, to) {
  const step = from.pop();
  if (step) keep(to, step.apply());
  return Boolean(step);
}

/** @param {Step[]} list @param {Step} step */
function keep(list, step) {
  list.push(step);
  let held = 0;
  let oldest = list.length - 1;
  for (let place = oldest; place >= 0; place -= 1) {
    held += list[place].bytes;
    if (held > LARGEST || list.length - place > MOST_STEPS) break;
    oldest = place;
  }
  list.splice(0, oldest);
}
