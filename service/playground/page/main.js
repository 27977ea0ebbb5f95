// The page put together: what happens where one types, runs, cancels, and comes back. Nothing else.

import { align, aligned } from "./aligner.js";
import { get, Problem, ROOT } from "./api.js";
import { setUpCompare } from "./compare.js";
import { bodyOf, changed, draft, take } from "./draft.js";
import { $, h } from "./dom.js";
import { drawExamples, fileOf } from "./examples.js";
import { drawHistory } from "./history.js";
import { cancel, follow, submit } from "./job.js";
import { askForKey, setUpKey } from "./key.js";
import { sendPhoto } from "./photo.js";
import { clearNotices, clearProblems, notice, say, sentence, showNotices, showProblems } from "./problems.js";
import { drawPrompts } from "./prompts.js";
import { drawSampling } from "./sampling.js";
import { setUpSnippet } from "./snippet.js";
import * as stage from "./stage.js";
import { setUpTheme } from "./themes.js";

let models = [];
let examples = [];
/** What is under way: its AbortController, and the edit once it was accepted. */
let under = null;
/** The edit whose pictures were shown last. */
let last = null;

async function start() {
  setUpTheme();
  setUpKey();
  setUpCompare();
  document.addEventListener("draft", ({ detail }) => detail.shape && draw());
  document.addEventListener("key", () => {
    notice("");
    align({ now: true });
    refresh();
  });
  document.addEventListener("aligned", () => document.dispatchEvent(new CustomEvent("draft", { detail: { shape: false } })));
  $("#composer").addEventListener("submit", (event) => {
    event.preventDefault();
    run();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      run();
    }
  });
  $("#composer").addEventListener("input", clearNotices); // they were about what stood there
  $("#cancel").addEventListener("click", stop);
  $("#history-more").addEventListener("click", () => refresh({ more: true }));
  addEventListener("hashchange", () => location.hash.length > 1 && open(location.hash.slice(1)));
  try {
    [{ models }, examples] = await Promise.all([get(`${ROOT}/v1/models`), get(`${ROOT}/playground/examples.json`)]);
  } catch (error) {
    tell(error);
    return;
  }
  draft.firstModel = models[0].id;
  if (!models.some(({ id }) => id === draft.model)) draft.model = draft.firstModel;
  take({ ...examples[0].body, model: draft.model }, modelOf(draft.model));
  drawExamples(examples, load);
  draw();
  setUpSnippet();
  align({ now: true });
  refresh();
  if (location.hash.length > 1) open(location.hash.slice(1));
}

const modelOf = (id) => models.find((each) => each.id === id);

function draw() {
  drawSampling(models);
  drawPrompts();
}

async function load(example) {
  take({ ...example.body, model: draft.model }, modelOf(draft.model));
  clearProblems("running");
  changed(true);
  await align({ now: true });
  if (example.file) await sendPhoto(await fileOf(example));
  say(`The example \u201c${example.title}\u201d is in the fields.`);
  $("#run").focus();
}

async function run() {
  if (under) return;
  stage.clear();
  for (const as of ["running", "photo"]) clearProblems(as);
  clearNotices();
  await busy(async (own) => {
    await aligned(); // the marks that choose the kind are those of the words as they stand
    const body = bodyOf();
    const edit = await submit(body, {
      signal: own.signal,
      onWait: (error, left) => stage.standing(`${sentence(error.message)} Sent again in ${left} s.`),
    });
    own.edit = edit;
    showNotices(edit.notices);
    stage.begin(body);
    await watch(edit, own);
  });
  refresh();
}

/** Does something that can be canceled; what it runs into is shown. */
async function busy(work) {
  const controller = new AbortController();
  const own = (under = { signal: controller.signal, controller, edit: null });
  show();
  try {
    await work(own);
  } catch (error) {
    if (under === own) {
      stage.standing("");
      if (error.name === "AbortError") say("Stopped.");
      else tell(error);
      if (!document.querySelector("#gallery .shot")) [$("#result").hidden, $("#empty").hidden] = [true, false];
      else if ($("#gallery").classList.contains("coming")) stage.ended({ status: "canceled" });
    }
  } finally {
    if (under === own) under = null;
    show();
  }
}

async function watch(edit, own) {
  history.replaceState(null, "", `#${edit.id}`);
  if (matchMedia("(max-width: 860px)").matches) $("#stage").scrollIntoView({ block: "start" });
  stage.standing("Waiting for a worker.");
  say("Accepted. Waiting for a worker.");
  let quarter = 0;
  const view = await follow(edit, {
    signal: own.signal,
    on: {
      place: ({ ahead, starts_in }) => {
        const time = starts_in === null ? "" : `, about ${Math.ceil(starts_in)} s`;
        stage.standing(`${ahead === 0 ? "Next in the queue" : `${ahead} ahead in the queue`}${time}.`);
      },
      queued: () => stage.standing("Waiting for a worker."),
      retrying: () => stage.standing("Its worker was lost: another one goes on with it."),
      started: () => {
        stage.standing("Started.", 0);
        say("Started.");
      },
      progress: ({ step, steps }) => {
        stage.standing(own.canceling ? "Stopping before the next step." : `Step ${step} of ${steps}`, step / steps);
        const now = Math.floor((4 * step) / steps);
        if (now > quarter && now < 4) say(`${now * 25} percent.`);
        quarter = now;
      },
      preview: ({ url }) => stage.preview(url),
      lost: (left) => stage.standing(`The connection was lost. Asking again in ${left} s; the edit goes on meanwhile.`),
    },
  });
  await arrived(view);
}

async function arrived(view) {
  if (view.status !== "succeeded") {
    if (view.status === "canceled" && last) {
      stage.begin(last.spec); // what one looked at before comes back
      await stage.finish(last);
    }
    return stage.ended(view);
  }
  last = view;
  await stage.finish(view);
  say(`Done: ${view.spec.targets.length === 1 ? "the source and its edit are" : `the source and its ${view.spec.targets.length} edits are`} shown.`);
}

async function stop() {
  if (!under) return;
  const { edit, controller } = under;
  if (!edit) return controller.abort();
  under.canceling = true;
  stage.standing("Canceling.");
  try {
    await cancel(edit);
  } catch (error) {
    // It ended in the meantime: its events tell how.
    if (!(error instanceof Problem && error.status === 409)) tell(error);
  }
}

/** Shows an edit of before, and puts its request into the fields. */
async function open(id) {
  under?.controller.abort();
  stage.clear();
  await busy(async (own) => {
    const view = await get(`${ROOT}/v1/edits/${encodeURIComponent(id)}`, { signal: own.signal });
    take(view.spec, modelOf(view.model));
    changed(true);
    await align({ now: true }); // until then its words have no names, and the request would be shown without them
    history.replaceState(null, "", `#${view.id}`);
    showNotices(view.notices);
    stage.begin(view.spec);
    if (view.finished_at) await arrived(view);
    else {
      own.edit = view;
      await watch(view, own);
      refresh();
    }
  });
  if (matchMedia("(max-width: 860px)").matches) $("#stage").scrollIntoView({ block: "start" });
}

async function refresh(how) {
  try {
    await drawHistory(open, how);
  } catch (error) {
    if (error instanceof Problem && error.status === 401) wantKey();
    else if (error.name !== "AbortError") tell(error);
  }
}

function wantKey() {
  const ask = () => askForKey("").catch(() => {});
  notice("This installation wants an API key before it takes edits", h("button", { type: "button", class: "secondary small", onclick: ask }, "Enter a key"));
}

/** What went wrong: next to its field where it has one, else above everything. */
function tell(error) {
  if (error.name === "AbortError") return;
  if (!(error instanceof Problem)) {
    notice("Something failed in this page: reload it");
    throw error;
  }
  const homeless = showProblems(error.errors, { as: "running", focus: true });
  if (error.errors.length && !homeless.length) say(error.errors.map(({ detail }) => sentence(detail)).join(" "));
  else notice(homeless.map(({ pointer, detail }) => `${pointer}: ${detail}`).join("; ") || error.message);
}

function show() {
  $("#run").hidden = Boolean(under);
  $("#cancel").hidden = !under;
  if (under && document.activeElement === document.body) $("#cancel").focus();
  else if (!under && document.activeElement === document.body) $("#run").focus({ preventScroll: true });
}

start();
