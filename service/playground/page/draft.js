// What is being put together, and as what it is sent: only what differs from the API's defaults.

/** The defaults of the spec (openapi.yaml, EditSpec); those of a model come from GET /v1/models. */
export const DEFAULTS = {
  cross: { start: 0, stop: 0.4 },
  // Of an edit that only turns words up and down.
  fader: { start: 0, stop: 0.8 },
  self: { start: 0, stop: 0.4 },
  threshold: 0.3,
};
const PREVIEWS = 3;

/** A word as the API names it, as one string: only to find it again. What a name means is the API's to say. */
export const nameOf = ({ word, occurrence }) => `${word.toLowerCase()} ${occurrence}`;

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
  filled: null, // words that take the attention of words that go (Refine.filled_by)
  rest: {},
});

export const draft = {
  model: null,
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
 * The edit that carries words over: as chosen, or as the aligner finds it, null where no words differ. Where it finds
 * nothing, for a prompt is missing or too long, "refine": it takes any two, and the prompt alone is complained of.
 */
export function kindOf({ kind, alignment }) {
  if (kind === "weights") return null;
  if (kind !== "auto") return kind;
  return alignment ? alignment.kind : "refine";
}

export const onlyFades = (target) => kindOf(target) === null;

/** A word's name in a body; its occurrence only if the prompt holds the name more than once. */
const named = ({ word, occurrence, occurrences }) => (occurrences > 1 ? { word, occurrence } : { word });

/** Names that mean parts of words, which have no button of their own: as they were given. */
const parts = (target, list) =>
  target.names.filter((each) => each.list === list && each.found).map(({ word, occurrence }) => (occurrence ? { word, occurrence } : { word }));

/** What is asked about a target's names, or about those of the source's words that go. */
export const asked = (target, ofSource) => target.names.filter(({ list }) => (list === "gone") === ofSource);

/** Takes the API's answer about names: those that mean whole words are these words' from here on. */
export function settle(target, names, answers, words) {
  const settled = new Set();
  names.forEach((name, index) => {
    const { exact, words: held, problem } = answers[index];
    name.found = held.length > 0 && !problem;
    if (!exact || problem) return;
    settled.add(name);
    for (const place of held) {
      if (name.list === "weights") target.weights.set(nameOf(words[place]), name.weight);
      else target[name.list].add(nameOf(words[place]));
    }
  });
  target.names = target.names.filter((name) => !settled.has(name));
}

function blendOf(target, source) {
  const words = target.alignment?.words ?? [];
  const chosen = words.filter((word) => target.blend.has(nameOf(word)));
  const before = source.alignment?.words ?? [];
  const gone = before.filter((word) => target.gone.has(nameOf(word)));
  const { local_blend: kept = {} } = target.rest;
  const inside = { blend: parts(target, "blend"), gone: parts(target, "gone") };
  const changes = chosen.length + inside.blend.length;
  const goes = gone.length + inside.gone.length;
  if (!changes && !goes && !kept.box) return null;
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

function targetOf(target, source) {
  const words = target.alignment?.words ?? [];
  const kind = kindOf(target);
  const edits = kind ? [{ kind }] : [];
  if (kind === "refine" && target.filled) edits[0].filled_by = target.filled;
  const weights = words.filter((word) => (target.weights.get(nameOf(word)) ?? 1) !== 1);
  const inside = target.names.filter(({ list, found }) => list === "weights" && found);
  if (weights.length || inside.length) {
    const fields = weights.map((word) => ({ ...named(word), weight: target.weights.get(nameOf(word)) }));
    const more = parts(target, "weights").map((name, index) => ({ ...name, weight: inside[index].weight }));
    edits.push({ kind: "reweight", weights: [...fields, ...more] });
  }
  const { local_blend: _, ...rest } = target.rest;
  const body = { prompt: target.prompt.trim(), edits, ...rest };
  if (target.cross) body.cross_window = target.cross;
  if (target.self) body.self_window = target.self;
  const blend = blendOf(target, source);
  if (blend) body.local_blend = blend;
  return body;
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
  // A photo has one run, whatever the seed, but for the method that draws noise of its own.
  if (from.seed !== null && (!source.image || rest.inversion?.method === "edit_friendly")) sampling.seed = from.seed;
  if (from.steps !== null) sampling.steps = from.steps;
  if (from.guidance_scale !== null) sampling.guidance_scale = from.guidance_scale;
  if (Object.keys(sampling).length) body.sampling = sampling;
  body.artifacts = { previews: PREVIEWS, ...rest.artifacts };
  if (from.loras.size) body.loras = [...from.loras].map(([id, weight]) => (weight === 1 ? { id } : { id, weight }));
  for (const name of ["inversion", "long_prompts", "compat"]) if (rest[name]) body[name] = rest[name];
  return body;
}

const same = (a, b) => a.start === b.start && a.stop === b.stop && (a.unit ?? "share") === "share";

/** What a spec says beyond defaults, without the fields that have controls: it stays in the request as it is. */
function beyond(given, defaults, controls) {
  const differs = ([name, value]) =>
    !controls.includes(name) && value !== null && JSON.stringify(value) !== JSON.stringify(defaults[name]);
  return Object.fromEntries(Object.entries(given ?? {}).filter(differs));
}

function targetFrom(spec) {
  const target = newTarget(spec.prompt);
  const edits = spec.edits ?? [];
  const aligning = edits.find((edit) => edit.kind !== "reweight");
  target.asked = aligning?.kind ?? null;
  target.filled = aligning?.filled_by ?? null;
  for (const edit of edits.filter((each) => each.kind === "reweight")) {
    target.names.push(...edit.weights.map((each) => ({ ...each, list: "weights" })));
  }
  const cross = aligning ? DEFAULTS.cross : DEFAULTS.fader;
  if (spec.cross_window && !same(spec.cross_window, cross)) target.cross = spec.cross_window;
  if (spec.self_window && !same(spec.self_window, DEFAULTS.self)) target.self = spec.self_window;
  const blend = spec.local_blend;
  target.names.push(...(blend?.words ?? []).map((each) => ({ ...each, list: "blend" })));
  target.names.push(...(blend?.source_words ?? []).map((each) => ({ ...each, list: "gone" })));
  if (blend && blend.threshold !== DEFAULTS.threshold) target.threshold = blend.threshold ?? null;
  const known = ["prompt", "edits", "cross_window", "self_window", "local_blend"];
  target.rest = beyond(spec, { word_windows: [] }, known);
  const defaults = { subtract_words: [], source_subtract_words: [], start: 0.2, subtract_threshold: 0.3, fresh_noise: false };
  const more = beyond(blend, defaults, ["words", "source_words", "threshold"]);
  if (Object.keys(more).length) target.rest.local_blend = more;
  return target;
}

/** Makes the draft say what a spec says (`spec` of an edit's answer, or a body that was sent). */
export function take(spec, model) {
  draft.model = spec.model ?? draft.firstModel;
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
