// The source and the edits: a card each, drawn anew where their number changes, else kept in place.

import { align } from "./aligner.js";
import { chosenOf, isAutomatic, kindIn, regionOf } from "./chosen.js";
import { changed, draft, kindOf, newTarget, saysRegion, usualOf } from "./draft.js";
import { $, fresh, h, icon, ICONS } from "./dom.js";
import { photoField } from "./photo.js";
import { sentence } from "./problems.js";
import { windowField } from "./window.js";
import { fill, wordsField } from "./words.js";

const KINDS = { replace: "Replace", refine: "Refine", weights: "Weights only", prompt: "Prompt only" };

export function drawPrompts() {
  const most = draft.limits?.max_targets ?? 8;
  const add = h("button", {
    type: "button", class: "secondary add", id: "add", disabled: draft.targets.length >= most,
    onclick: () => {
      draft.targets.push(newTarget(draft.source.prompt));
      changed(true);
      align({ now: true });
      const field = $(`#target-${draft.targets.length}`);
      field.focus();
      field.select();
    },
  }, icon(ICONS.plus), "Add an edit");
  $("#prompts").replaceChildren(
    sourceCard(),
    ...draft.targets.map(targetCard),
    h("div", { "data-pointers": "/targets", class: "field" }, add),
  );
}

function promptArea({ id, value, label, oninput }) {
  const area = h("textarea", { id, rows: "1", "data-input": "", maxlength: "2000", spellcheck: "true", oninput: () => oninput(area.value) });
  area.value = value;
  area.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      $("#composer").requestSubmit();
    }
  });
  return [h("label", { for: id, class: "label" }, label), area];
}

function sourceCard() {
  const tokens = h("output", { class: "tokens", for: "source-prompt" });
  const [label, area] = promptArea({
    id: "source-prompt", value: draft.source.prompt,
    label: draft.source.image ? "What the photo shows" : "Source prompt",
    oninput: (value) => {
      draft.source.prompt = value;
      changed();
      align();
    },
  });
  show(tokens, () => draft.source.alignment && count(draft.source.alignment.tokens));
  return h("section", { class: "card", "aria-label": "Source" },
    h("div", { class: "field", "data-pointers": "/source/prompt /source" }, h("div", { class: "label-row" }, label, tokens), area),
    photoField());
}

function targetCard(target, index) {
  const at = `/targets/${index}`;
  const id = `target-${index + 1}`;
  const one = draft.targets.length === 1;
  const [label, area] = promptArea({
    id, value: target.prompt, label: one ? "Edited prompt" : `Edited prompt ${index + 1}`,
    oninput: (value) => {
      target.prompt = value;
      changed();
      align();
    },
  });
  const says = saysField(target);
  const kind = kindField(target, index, says.id);
  const remove = h("button", {
    type: "button", class: "icon quiet", "aria-label": `Remove edit ${index + 1}`, hidden: one,
    onclick: () => {
      draft.targets.splice(index, 1);
      changed(true);
      align({ now: true });
      $(`#target-${Math.min(index + 1, draft.targets.length)}`).focus();
    },
  }, icon(ICONS.cross));
  return h("section", { class: "card target", "aria-label": `Edit ${index + 1}` },
    h("div", { class: "field", "data-pointers": `${at}/prompt ${at}` }, h("div", { class: "label-row" }, label, kind, remove), area),
    wordsField(target, index),
    says,
    sameWords(target),
    fine(target, index));
}

/** How the words correspond: left to the service, or said. */
function kindField(target, index, describedBy) {
  const automatic = h("option", { value: "auto" }, "Automatic");
  const select = h("select", {
    class: "kind-choice", "aria-label": `Kind of edit ${index + 1}`, "aria-describedby": describedBy, "data-input": "",
    onchange: () => {
      target.kind = select.value;
      changed();
      align({ now: true });
    },
  }, automatic, ...Object.entries(KINDS).map(([value, said]) => h("option", { value }, said)));
  show(automatic, () => {
    select.value = target.kind;
    return target.kind === "auto" && target.alignment ? `Automatic: ${KINDS[kindFound(target)].toLowerCase()}` : "Automatic";
  });
  return h("div", { class: "field inline", "data-pointers": `/targets/${index}/edits /targets/${index}/kind` }, select);
}

/** The kind that "Automatic" stands for. */
function kindFound(target) {
  const chosen = chosenOf(target);
  if (chosen) return kindIn(chosen.edits);
  return target.alignment.kind ?? "weights";
}

/** What the service will do with the prompts alone, in its own words. */
function saysField(target) {
  const text = h("p", { class: "help says", id: fresh("says") });
  show(text, () => {
    const chosen = chosenOf(target);
    text.hidden = !chosen;
    if (!chosen) return "";
    // The API refuses it: nothing of the photo would be kept.
    if (draft.source.image && !chosen.edits.length) return "The prompts have nothing in common: name in both what the photo shows.";
    const own = saysRegion(target) ? " Where it may change is as you chose it." : "";
    return sentence(chosen.says) + own;
  });
  return text;
}

function sameWords(target) {
  const text = h("p", { class: "help same" }, "Both prompts say the same: change a word, or click one to turn it up or down.");
  show(text, () => {
    const differs = isAutomatic(target) ? target.alignment?.chosen : kindOf(target) !== null;
    text.hidden = !target.alignment || target.weights.size > 0 || Boolean(differs);
    return null;
  });
  return text;
}

/** Windows and the blend's threshold, folded away: what is chosen, and the defaults, were measured (docs/quality.md). */
function fine(target, index) {
  const at = `/targets/${index}`;
  const cross = windowField({
    label: "Words window", pointers: `${at}/cross_window`, value: target.cross, usual: () => usualOf(target).cross,
    help: "When shared words keep the places they have in the source: longer keeps the layout, shorter gives the new words room.",
    onchange: (value) => set("cross", value),
  });
  const self = windowField({
    label: "Shapes window", pointers: `${at}/self_window`, value: target.self, usual: () => usualOf(target).self,
    help: "When the source\u2019s shapes are carried over: longer keeps outlines, 0 to 0 lets go of them.",
    onchange: (value) => set("self", value),
  });
  const id = fresh("threshold");
  const range = h("input", { id, type: "range", min: "0", max: "1", step: "0.05",
    oninput: () => {
      const value = Number(range.value);
      set("threshold", value === usualOf(target).threshold ? null : value);
    } });
  const read = h("output", { for: id });
  const threshold = h("div", { class: "field", "data-pointers": `${at}/local_blend/threshold` },
    h("div", { class: "label-row" }, h("label", { class: "label", for: id }, "Blend threshold"), read), range,
    h("p", { class: "help" }, "Higher lets less of the picture change around the chosen words."));
  show(read, () => {
    threshold.hidden = !target.blend.size && !target.gone.size && !regionOf(target);
    range.value = String(target.threshold ?? usualOf(target).threshold);
    fill(range);
    cross.show(target.cross);
    self.show(target.self);
    return Number(range.value).toFixed(2);
  });
  const rest = Object.keys(target.rest);
  function set(name, value) {
    target[name] = value;
    changed();
  }
  return h("details", { class: "fine" }, h("summary", {}, "Fine control"), cross.field, self.field, threshold,
    rest.length ? h("p", { class: "help" }, `Also in the request, as it was loaded: ${rest.join(", ")}.`) : null);
}

const count = (tokens) => `${tokens} / ${draft.source.max_tokens} tokens`;

/** Keeps a text up to date with the draft and the aligner for as long as it stands on the page. */
function show(element, text) {
  const update = () => {
    const said = text();
    if (said !== null && element.textContent !== said) element.textContent = said || "";
  };
  const again = () => {
    if (element.isConnected) return update();
    document.removeEventListener("draft", again);
    document.removeEventListener("aligned", again);
  };
  update();
  // Once it stands there: what is drawn in this turn is not connected yet.
  queueMicrotask(() => {
    document.addEventListener("draft", again);
    document.addEventListener("aligned", again);
  });
}
