/** What is noted of a checkpoint for the form: put there whenever the checkpoint is chosen. */

const CLIP_SKIP = "Clip skip: ";

/** @param {import("./form.js").Form} form @param {Record<string, any>} defaults by parameter */
export function applyDefaults(form, { clip_skip: clipSkip, ...fields }) {
  const values = { ...fields };
  if (clipSkip !== undefined) {
    const others = (form.values.override_settings ?? []).filter((/** @type {string} */ pair) => !pair.startsWith(CLIP_SKIP));
    values.override_settings = [...others, `${CLIP_SKIP}${clipSkip}`];
  }
  if (Object.keys(values).length) form.set(values);
}
