/** From what a request asks of plugins to the values of their fields on a form. */

/**
 * @param {import("./form.js").Field[]} fields @param {Record<string, string>} scripts the scripts' titles by name
 * @param {Record<string, Record<string, any>>} extras by plugin and parameter; a plugin that is not in there is off
 * @returns {Record<string, any>}
 */
export function pluginValues(fields, scripts, extras) {
  const chosen = Object.keys(scripts).find((name) => name in extras || scripts[name] === extras.a1111?.script);
  /** @type {Record<string, any>} */
  const values = { script: chosen ? scripts[chosen] : "None" };
  for (const { name, default: usual, plugin } of fields) {
    if (!plugin) continue;
    const value = extras[plugin.name]?.[plugin.parameter];
    if (plugin.switches) values[name] = plugin.name in extras;
    else if (value === undefined) values[name] = usual;
    else values[name] = plugin.kind === "several" ? value.split(",").map((/** @type {string} */ each) => each.trim()).filter(Boolean) : value;
  }
  return values;
}
