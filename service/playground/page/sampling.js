// Seed, steps, guidance, model and its LoRAs, with the model's own defaults and limits.

import { align } from "./aligner.js";
import { changed, draft, windowsOn } from "./draft.js";
import { $, h, icon, ICONS } from "./dom.js";
import { loraFields } from "./loras.js";
import { fill } from "./words.js";

export function drawSampling(models) {
  const model = models.find(({ id }) => id === draft.model) ?? models[0];
  draft.limits = model.limits;
  draft.windows = windowsOn(model);
  $("#sampling").replaceChildren(
    slid({ name: "steps", label: "Steps", min: 1, max: model.limits.max_steps, step: 1, usual: model.defaults.steps }),
    slid({ name: "guidance_scale", label: "Guidance", min: 0, max: 15, most: 50, step: 0.5, usual: model.defaults.guidance_scale }),
    seed(),
    ...modelField(models),
    ...loraFields(model),
  );
}

/** A slider with its number beside it; where it stands at the model's default, nothing is sent. */
function slid({ name, label, min, max, most = max, step, usual }) {
  const value = draft[name] ?? usual;
  const range = h("input", { type: "range", min: String(min), max: String(max), step: String(step), value: String(value),
    "aria-label": label, oninput: () => set(Number(range.value)) });
  const number = h("input", { type: "number", id: `s-${name}`, class: "number", min: String(min), max: String(most), step: "any", value: String(value),
    "data-input": "", oninput: () => number.value !== "" && set(Number(number.value)) });
  function set(given) {
    draft[name] = given === usual ? null : given;
    if (Number(range.value) !== given) range.value = String(given);
    if (Number(number.value) !== given) number.value = String(given);
    fill(range);
    changed();
  }
  fill(range);
  return h("div", { class: "field", "data-pointers": `/sampling/${name}` },
    h("div", { class: "label-row" }, h("label", { class: "label", for: `s-${name}` }, label), number), range);
}

/** A seed that stands in the field is sent with each run; where it is empty, the service draws another one for each. */
function seed() {
  const photo = Boolean(draft.source.image); // has one run, whatever the seed
  const shown = photo ? "none" : String(draft.seed ?? "");
  const number = h("input", { type: photo ? "text" : "number", id: "s-seed", min: "0", step: "1", placeholder: "drawn for each run", value: shown, "data-input": "", disabled: photo,
    oninput: () => keep(number.value === "" ? null : Number(number.value)) });
  const draw = h("button", { type: "button", class: "icon secondary", "aria-label": "Draw a seed for each run", disabled: photo,
    onclick: () => {
      number.value = "";
      keep(null);
    } }, icon(ICONS.dice));
  return h("div", { class: "field", "data-pointers": "/sampling/seed" },
    h("label", { class: "label", for: "s-seed" }, "Seed"), h("div", { class: "pair" }, number, draw));
}

function keep(given) {
  draft.seed = given;
  changed();
}

function modelField(models) {
  const select = h("select", { id: "s-model", "data-input": "", "aria-describedby": "s-about",
    onchange: () => {
      draft.model = select.value;
      [draft.steps, draft.guidance_scale] = [null, null];
      draft.loras.clear(); // the other model has its own
      changed(true);
      align({ now: true });
    } }, models.map(({ id }) => h("option", { value: id }, id)));
  select.value = draft.model;
  const { description } = models.find(({ id }) => id === draft.model);
  return [
    h("div", { class: "field", "data-pointers": "/model" }, h("label", { class: "label", for: "s-model" }, "Model"), select),
    h("p", { class: "help about", id: "s-about" }, description),
  ];
}
