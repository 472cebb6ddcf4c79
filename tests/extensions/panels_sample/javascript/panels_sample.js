// Notes what it finds of A1111's page, for the browser test.
window.sampleFound = { updates: 0, tabs: 0 };

function sampleClicked(...args) {
  window.sampleFound.clicked = args.length;
  return args;
}

titles = { ...titles, "Sample title": "shown" };
onOptionsChanged(() => { window.sampleFound.changes = (window.sampleFound.changes ?? 0) + 1; });
onUiUpdate(() => { window.sampleFound.updates += 1; });
onUiTabChange(() => { window.sampleFound.tabs += 1; });
onUiLoaded(() => {
  const found = window.sampleFound;
  found.option = opts.samples_format;
  const bounded = gradioApp().querySelector("#setting_panels_sample_option");
  const slider = bounded?.querySelector("input[type=range]");
  found.slider = [slider?.min, slider?.max, slider?.value, bounded?.querySelector("input[type=number]")?.value];
  found.setting = gradioApp().querySelector("#setting_samples_format textarea")?.value;
  found.canvases = ["img2img_image", "img2img_sketch", "img2maskimg", "inpaint_sketch", "img_inpaint_base"]
    .filter((id) => document.getElementById(id)?.querySelector("input")).length;
  found.prompt = Boolean(gradioApp().querySelector("#img2img_prompt > label > textarea"));
  found.hidden = gradioApp().querySelector("#txt2img_sample_secret textarea")?.value;
  found.folded = Boolean(gradioApp().querySelector("#txt2img_sample_enabled input"));
  found.tab = gradioApp().querySelectorAll("#tabs > .tab-nav > button").length;
  found.deep = gradioApp().querySelector("#sample_deep")?.textContent.trim();
  found.current = get_uiCurrentTab()?.textContent.trim();
  found.content = get_uiCurrentTabContent()?.id;
});
