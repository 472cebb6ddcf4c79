/** Builds the page's parts and joins them. `window.easel` is what Gradio's events call, and the only global. */
import { watchDocument, whenPresent } from "./dom.js";
import { Form } from "./form.js";
import { Gallery } from "./gallery.js";
import { startKeys } from "./keys.js";
import { Lightbox } from "./lightbox.js";
import { Live } from "./live.js";
import { Messages } from "./messages.js";
import { ProgressView } from "./progress.js";
import { QueueView } from "./queue.js";
import { SettingsView } from "./settings.js";
import { StatusView } from "./status.js";
import { TokenCounters } from "./tokens.js";

const facts = JSON.parse(document.getElementById("easel-facts")?.textContent ?? "{}");
const live = new Live();
const messages = new Messages(facts.fields);
const form = new Form(facts.fields, facts.native_size);
const gallery = new Gallery(live, messages, form.ready);
const lightbox = new Lightbox();
const progress = new ProgressView(live, messages);
const checkpoints = new StatusView(live, form, messages, facts.signed_in);

Object.assign(window, { easel: { live, messages, form, gallery, checkpoints } });

function start() {
  watchDocument();
  form.start();
  messages.start();
  gallery.start();
  lightbox.start(gallery);
  progress.start();
  checkpoints.start();
  new TokenCounters(form, live, facts.longest_prompt).start();
  new QueueView(live, form, messages, lightbox).start();
  new SettingsView(messages).start();
  startKeys(live, progress);
  whenPresent("#tabs", (tabs) => (tabs.dataset.easel = "started"));
  live.connect();
}

if (document.body) start();
else document.addEventListener("DOMContentLoaded", start);
