/** Builds the page's parts and joins them. `window.easel` is what Gradio's events call, and the only global. */
import { watchDocument, whenPresent, whenSeen } from "./dom.js";
import { GenerationPage } from "./generation_page.js";
import { Img2ImgPage } from "./img2img_page.js";
import { startKeys } from "./keys.js";
import { Lightbox } from "./lightbox.js";
import { Live } from "./live.js";
import { Messages } from "./messages.js";
import { PictureInfoView } from "./pnginfo.js";
import { startPromptKeys } from "./prompt_keys.js";
import { QueueView } from "./queue.js";
import { Sending } from "./sending.js";
import { SettingsView } from "./settings.js";
import { StatusView } from "./status.js";
import { Steering } from "./steering.js";
import { StylesEditor } from "./styles_editor.js";
import { TaskView } from "./tasks.js";
import { Verification } from "./verify.js";

const facts = JSON.parse(document.getElementById("easel-facts")?.textContent ?? "{}");
const live = new Live();
const messages = new Messages();
const verification = new Verification(live);
const lightbox = new Lightbox(verification);
const steering = new Steering(live, messages);
const shared = { facts, live, messages, steering, verification, lightbox, styles: new StylesEditor(messages) };
const txt2img = new GenerationPage("txt2img", shared);
const img2img = new Img2ImgPage(shared);
const pages = { txt2img, img2img };
const checkpoints = new StatusView(live, [txt2img.form, img2img.form], messages, facts.signed_in);
const sending = new Sending(img2img, messages);

Object.assign(window, { easel: { live, messages, pages, checkpoints, form: txt2img.form, gallery: txt2img.gallery } });

function start() {
  watchDocument();
  messages.start();
  lightbox.start(sending);
  steering.start();
  checkpoints.start();
  verification.start();
  for (const page of Object.values(pages)) page.start(checkpoints, sending);
  sending.start();
  new PictureInfoView(pages, messages, verification, sending).start();
  new QueueView(live, pages, messages, lightbox, facts.overrides).start();
  new SettingsView(messages).start();
  const tasks = new TaskView(live, messages, checkpoints, facts.admin);
  tasks.start();
  whenSeen("#easel_models", async (root) => new (await import("./downloads.js")).DownloadsView(messages, tasks).show(root));
  whenSeen("#easel_merger", async (root) => new (await import("./merger.js")).MergerView(messages, tasks).show(root));
  whenSeen("#easel_extensions", async (root) => new (await import("./extensions.js")).ExtensionsView(messages, tasks).show(root));
  startKeys(live, steering);
  startPromptKeys();
  live.on("remark", (event) => messages.note(event.detail));
  whenPresent("#tabs", (tabs) => (tabs.dataset.easel = "started"));
  live.connect();
}

if (document.body) start();
else document.addEventListener("DOMContentLoaded", start);
