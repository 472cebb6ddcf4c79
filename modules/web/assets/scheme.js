// Light or dark, settled before the first paint. Order: ?__theme=, the user's own choice, the server's flag, the system.
(() => {
  "use strict";
  const KEY = "easel.scheme";
  const facts = JSON.parse(document.getElementById("easel-facts").textContent);
  const system = matchMedia("(prefers-color-scheme: dark)");

  /** @returns {"dark" | "light"} */
  function wanted() {
    const asked = new URL(location.href).searchParams.get("__theme");
    const choices = [asked, localStorage.getItem(KEY), facts.theme];
    return choices.find((choice) => choice === "dark" || choice === "light") ?? (system.matches ? "dark" : "light");
  }

  /** Gradio sets the class of the body by itself, so ours is put back whenever it differs. */
  function apply() {
    const dark = wanted() === "dark";
    for (const element of [document.documentElement, document.body]) {
      if (element && element.classList.contains("dark") !== dark) element.classList.toggle("dark", dark);
    }
  }

  apply();
  system.addEventListener("change", apply);
  document.addEventListener("DOMContentLoaded", () => {
    apply();
    new MutationObserver(apply).observe(document.body, { attributes: true, attributeFilter: ["class"] });
  });
  document.addEventListener("easel:toggle-scheme", () => {
    localStorage.setItem(KEY, wanted() === "dark" ? "light" : "dark");
    const address = new URL(location.href);
    address.searchParams.delete("__theme");
    history.replaceState(history.state, "", address);
    apply();
  });
})();
