/** Builds the page's parts and joins them. `window.easel` is what Gradio's events call, and the only global. */
import { watchDocument, whenPresent, whenSeen } from "./dom.js";
import { Folds } from "./folds.js";
import { Form } from "./form.js";
import { FormLooks } from "./form_looks.js";
import { Gallery } from "./gallery.js";
import { InnerTabs } from "./inner_tabs.js";
import { Inspector } from "./inspector.js";
import { startKeys } from "./keys.js";
import { Lightbox } from "./lightbox.js";
import { Live } from "./live.js";
import { Messages } from "./messages.js";
import { Paster } from "./paster.js";
import { PictureTools } from "./picture_tools.js";
import { PictureInfoView } from "./pnginfo.js";
import { ProgressView } from "./progress.js";
import { startPromptKeys } from "./prompt_keys.js";
import { PromptTools } from "./prompt_tools.js";
import { QueueView } from "./queue.js";
import { SettingsView } from "./settings.js";
import { StatusView } from "./status.js";
import { StylesEditor } from "./styles_editor.js";
import { TaskView } from "./tasks.js";
import { TokenCounters } from "./tokens.js";
import { Verification } from "./verify.js";

const facts = JSON.parse(document.getElementById("easel-facts")?.textContent ?? "{}");
const live = new Live();
const messages = new Messages(facts.fields);
const folds = new Folds();
const form = new Form(facts.fields, facts.native_size, folds);
const gallery = new Gallery(live, messages, form.ready);
const verification = new Verification(live);
const lightbox = new Lightbox(verification);
const progress = new ProgressView(live, messages);
const checkpoints = new StatusView(live, form, messages, facts.signed_in);
const paster = new Paster(form, messages, checkpoints);

Object.assign(window, { easel: { live, messages, form, gallery, checkpoints } });

function start() {
  watchDocument();
  folds.start();
  form.start();
  messages.start();
  gallery.start();
  lightbox.start(gallery);
  progress.start();
  checkpoints.start();
  verification.start();
  new FormLooks(form).start();
  new TokenCounters(form, live, facts.longest_prompt).start();
  new PromptTools(form, messages, paster, new StylesEditor(form, messages)).start();
  new Inspector(form).start();
  new InnerTabs({ page: "txt2img", form, messages, live, checkpoints, gallery }).start();
  new PictureTools(gallery, form, messages, verification).start();
  new PictureInfoView(paster, messages, verification).start();
  new QueueView(live, form, messages, lightbox, facts.overrides).start();
  new SettingsView(messages).start();
  const tasks = new TaskView(live, messages, checkpoints, facts.admin);
  tasks.start();
  whenSeen("#easel_models", async (root) => new (await import("./downloads.js")).DownloadsView(messages, tasks).show(root));
  whenSeen("#easel_merger", async (root) => new (await import("./merger.js")).MergerView(messages, tasks).show(root));
  startKeys(live, progress);
  startPromptKeys();
  live.on("remark", (event) => messages.note(event.detail));
  whenPresent("#tabs", (tabs) => (tabs.dataset.easel = "started"));
  live.connect();
}

if (document.body) start();
else document.addEventListener("DOMContentLoaded", start);
