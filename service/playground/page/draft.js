// What is being put together, and as what it is sent: only what differs from the API's defaults.

import { chosenOf, isAutomatic, regionOf } from "./chosen.js";
import { bare, named, nameOf, parts, weightsOf } from "./names.js";

/** The defaults of the spec (openapi.yaml, EditSpec); those of a model come from GET /v1/models. */
const THRESHOLD = 0.3;
const WINDOWS = { cross: { start: 0, stop: 0.4 }, self: { start: 0, stop: 0.4 } };
// Of an edit that only turns words up and down.
const OF_FADER = { ...WINDOWS, cross: { start: 0, stop: 0.8 } };
const OF_PROMPT = { cross: { start: 0, stop: 0 }, self: { start: 0, stop: 0 } };
const PREVIEWS = 3;
/** Inversions that draw noise of their own, so that a photo has one run for each seed. */
const DRAWS_NOISE = ["edit_friendly", "straight"];

export const newTarget = (prompt = "") => ({
  prompt,
  kind: "auto",
  weights: new Map(),
  blend: new Set(),
  gone: new Set(), // words of the source whose region may change
  names: [], // of a spec that was loaded, until the API has said which words they mean; parts of words stay here
  cross: null,
  self: null,
  threshold: null,
  alignment: null,
  guided: false, // whether weights below 1 are by guidance (Reweight.by), as they are chosen
  filled: null, // words that take the attention of words that go (Refine.filled_by)
  rest: {},
});

export const draft = {
  model: null,
  windows: WINDOWS, // of edits that say none, on this model
  firstModel: null, // of GET /v1/models: what the service takes if a body names none
  source: { prompt: "", image: null, alignment: null },
  targets: [newTarget()],
  seed: null, // the service draws one for each run
  steps: null,
  guidance_scale: null,
  loras: new Map(), // the weight of each that is chosen, in the order of choosing
  rest: {},
};

/**
 * The edit that carries words over: as said, or as the aligner finds it, null where none does. Where it finds nothing,
 * for a prompt is missing or too long, "refine": it takes any two, and the prompt alone is complained of.
 */
export function kindOf({ kind, alignment }) {
  if (kind === "auto") return alignment ? alignment.kind : "refine";
  return aligns(kind) ? kind : null;
}

/** Whether a kind says how the words correspond; the others are for weights alone, and for nothing but the prompt. */
export const aligns = (kind) => !["auto", "weights", "prompt"].includes(kind);

/** What a target says as `edits`, if it says them. */
function editsOf(target) {
  const kind = kindOf(target);
  const edits = kind ? [{ kind }] : [];
  if (kind === "refine" && target.filled) edits[0].filled_by = target.filled.map(bare);
  const weights = weightsOf(target);
  const guided = weights.filter(({ weight }) => target.guided && weight < 1);
  const others = weights.filter((each) => !guided.includes(each));
  if (others.length) edits.push({ kind: "reweight", weights: others });
  if (guided.length) edits.push({ kind: "reweight", weights: guided, by: "guidance" });
  return edits;
}

/** The windows of edits that say none, on a model. */
export const windowsOn = (model) => ({
  cross: model?.defaults.cross_window ?? WINDOWS.cross,
  self: model?.defaults.self_window ?? WINDOWS.self,
});

/** The windows of edits that say none. */
function windowsOf(edits) {
  if (!edits.length) return OF_PROMPT;
  return edits.every(({ kind }) => kind === "reweight") ? OF_FADER : draft.windows;
}

/** What a target is run with where it says nothing itself: what is chosen, or the defaults of its edits. */
export function usualOf(target) {
  const threshold = regionOf(target)?.threshold ?? THRESHOLD;
  const chosen = chosenOf(target);
  if (chosen) return { cross: chosen.cross_window, self: chosen.self_window, threshold };
  return { ...(isAutomatic(target) ? draft.windows : windowsOf(editsOf(target))), threshold };
}

/** Whether a target itself says where the picture may change; else a region may be chosen for it. */
export const saysRegion = (target) => blendOf(target, draft.source) !== null;

/** Fields of a blend that say by themselves where the picture may change. */
const PLACES = ["box", "mask", "subtract_words", "source_subtract_words"];

function blendOf(target, source) {
  const words = target.alignment?.words ?? [];
  const chosen = words.filter((word) => target.blend.has(nameOf(word)));
  const before = source.alignment?.words ?? [];
  const gone = before.filter((word) => target.gone.has(nameOf(word)));
  const { local_blend: kept = {} } = target.rest;
  const inside = { blend: parts(target, "blend"), gone: parts(target, "gone") };
  const changes = chosen.length + inside.blend.length;
  const goes = gone.length + inside.gone.length;
  if (!changes && !goes && !PLACES.some((name) => kept[name])) return null;
  const blend = { ...kept };
  if (changes) blend.words = [...chosen.map(named), ...inside.blend];
  if (goes) {
    // Naming some takes the place of those that the chosen words stand for: these are named with them.
    const stood = new Set(chosen.flatMap((word) => word.sources));
    blend.source_words = [
      ...before.filter((word, index) => stood.has(index) || gone.includes(word)).map(named),
      ...inside.gone,
    ];
  }
  if (target.threshold !== null) blend.threshold = target.threshold;
  return blend;
}

/** The chosen region as one's own, where its threshold is another one. */
function regionWith(target) {
  const region = regionOf(target);
  if (!region || target.threshold === null) return null;
  const blend = beyond(region, BLEND, ["words", "source_words", "threshold"]);
  if (region.words.length) blend.words = region.words.map(bare);
  if (region.source_words?.length) blend.source_words = region.source_words.map(bare);
  return { ...blend, threshold: target.threshold };
}

function targetOf(target, source) {
  const { local_blend: _, ...rest } = target.rest;
  const said = isAutomatic(target) ? weighed(target) : { edits: editsOf(target) };
  const body = { prompt: target.prompt.trim(), ...said, ...rest };
  const usual = usualOf(target);
  // Beside what is chosen, all that is said is sent: what is chosen may be something else by then.
  const differs = (given, window) => given && (isAutomatic(target) || !same(given, window));
  if (differs(target.cross, usual.cross)) body.cross_window = target.cross;
  if (differs(target.self, usual.self)) body.self_window = target.self;
  const blend = blendOf(target, source) ?? regionWith(target);
  if (blend) body.local_blend = blend;
  return body;
}

/** What is turned up or down beside what is chosen; no field without any. */
export function weighed(target) {
  const weights = isAutomatic(target) ? weightsOf(target) : [];
  return weights.length ? { weights } : {};
}

/** The body of POST /v1/edits. */
export function bodyOf(from = draft) {
  const { source, rest } = from;
  const body = {};
  if (from.model !== draft.firstModel) body.model = from.model;
  body.source = { prompt: source.prompt.trim() };
  if (source.image) body.source.image = { upload: source.image.id, ...source.image.rest };
  body.targets = from.targets.map((target) => targetOf(target, source));
  const sampling = { ...rest.sampling };
  // A photo has one run, whatever the seed, but for methods that draw noise of their own.
  if (from.seed !== null && (!source.image || DRAWS_NOISE.includes(rest.inversion?.method))) sampling.seed = from.seed;
  if (from.steps !== null) sampling.steps = from.steps;
  if (from.guidance_scale !== null) sampling.guidance_scale = from.guidance_scale;
  if (Object.keys(sampling).length) body.sampling = sampling;
  body.artifacts = { previews: PREVIEWS, ...rest.artifacts };
  if (from.loras.size) body.loras = [...from.loras].map(([id, weight]) => (weight === 1 ? { id } : { id, weight }));
  for (const name of ["inversion", "long_prompts", "compat", "reference"]) if (rest[name]) body[name] = rest[name];
  return body;
}

const same = (a, b) => a.start === b.start && a.stop === b.stop && (a.unit ?? "share") === "share";

/** What a spec says beyond defaults, without the fields that have controls: it stays in the request as it is. */
function beyond(given, defaults, controls) {
  const differs = ([name, value]) =>
    !controls.includes(name) && value !== null && JSON.stringify(value) !== JSON.stringify(defaults[name]);
  return Object.fromEntries(Object.entries(given ?? {}).filter(differs));
}

const BLEND = { subtract_words: [], source_subtract_words: [], start: 0.2, subtract_threshold: 0.3, fresh_noise: false };

/** The kind that a spec says. An edit that was run says one, also if the service chose it. */
function kindFrom(edits) {
  if (!edits) return "auto";
  return edits.find(({ kind }) => kind !== "reweight")?.kind ?? (edits.length ? "weights" : "prompt");
}

function targetFrom(spec) {
  const target = newTarget(spec.prompt);
  const edits = spec.edits ?? [];
  target.kind = kindFrom(spec.edits);
  target.filled = edits.find(({ kind }) => kind === "refine")?.filled_by ?? null;
  target.names.push(...(spec.weights ?? []).map((each) => ({ ...each, list: "weights" })));
  target.guided = edits.some(({ by }) => by === "guidance");
  for (const edit of edits.filter((each) => each.kind === "reweight")) {
    target.names.push(...edit.weights.map((each) => ({ ...each, list: "weights" })));
  }
  const usual = windowsOf(edits);
  const given = (window, default_) => (window && !(spec.edits && same(window, default_)) ? window : null);
  target.cross = given(spec.cross_window, usual.cross);
  target.self = given(spec.self_window, usual.self);
  const blend = spec.local_blend;
  target.names.push(...(blend?.words ?? []).map((each) => ({ ...each, list: "blend" })));
  target.names.push(...(blend?.source_words ?? []).map((each) => ({ ...each, list: "gone" })));
  if (blend && blend.threshold !== THRESHOLD) target.threshold = blend.threshold ?? null;
  const known = ["prompt", "edits", "weights", "cross_window", "self_window", "local_blend"];
  target.rest = beyond(spec, { word_windows: [], mass: "linear" }, known);
  const more = beyond(blend, BLEND, ["words", "source_words", "threshold"]);
  if (Object.keys(more).length) target.rest.local_blend = more;
  return target;
}

/** Makes the draft say what a spec says (`spec` of an edit's answer, or a body that was sent). */
export function take(spec, model) {
  draft.model = spec.model ?? draft.firstModel;
  draft.windows = windowsOn(model);
  draft.source = { prompt: spec.source.prompt, image: null, alignment: null };
  if (spec.source.image) {
    const rest = beyond(spec.source.image, { fit: "cover" }, ["upload"]);
    draft.source.image = { id: spec.source.image.upload, name: "the same picture", rest };
  }
  draft.targets = spec.targets.length ? spec.targets.map(targetFrom) : [newTarget(spec.source.prompt)];
  const sampling = spec.sampling ?? {};
  draft.seed = sampling.seed ?? null;
  draft.steps = unlessDefault(sampling.steps, model?.defaults.steps);
  draft.guidance_scale = unlessDefault(sampling.guidance_scale, model?.defaults.guidance_scale);
  draft.loras = new Map((spec.loras ?? []).map(({ id, weight }) => [id, weight ?? 1]));
  const [height, width] = model?.sizes[0] ?? [];
  draft.rest = {
    sampling: beyond(sampling, { negative_prompt: "", alone: false, height, width }, ["seed", "steps", "guidance_scale"]),
    artifacts: beyond(spec.artifacts, { format: "png", heatmaps: true, raw_maps: true, trajectory: false }, ["previews"]),
    inversion: spec.inversion && Object.keys(beyond(spec.inversion, { method: "direct" }, [])).length ? spec.inversion : null,
    long_prompts: spec.long_prompts === "chunks" ? "chunks" : null,
    compat: spec.compat ?? null,
  };
}

const unlessDefault = (value, usual) => (value === undefined || value === null || value === usual ? null : value);

/** Notifies those who show the draft; `detail.shape` where there are other fields than before. */
export function changed(shape = false) {
  document.dispatchEvent(new CustomEvent("draft", { detail: { shape } }));
}
