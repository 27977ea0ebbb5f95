// What the service chooses for a target that says no edits, as POST /v1/alignments answers it.

import { nameOf } from "./names.js";

/** Whether a target is sent without `edits`: its kind is left to the service, and how words are turned up or down. */
export const isAutomatic = (target) => target.kind === "auto";

/** What is chosen for a target; null if it says its edits itself, and if nothing can be chosen. */
export const chosenOf = (target) => (isAutomatic(target) ? (target.alignment?.chosen ?? null) : null);

/** The chosen blend if it has a region of words; what else a blend may say has no mark at a word. */
export function regionOf(target) {
  const blend = chosenOf(target)?.local_blend;
  return blend && (blend.words.length || blend.source_words?.length) ? blend : null;
}

/** Words among these that a region names. */
export function inRegion(names, words) {
  const means = (name, word) =>
    name.word.toLowerCase() === word.word.toLowerCase() && (name.occurrence ?? word.occurrence) === word.occurrence;
  return words.filter((word) => (names ?? []).some((name) => means(name, word)));
}

/** Makes the region that is chosen the target's own: it can then be changed word by word, and it is sent. */
export function ownRegion(target, source) {
  const region = regionOf(target);
  if (!region) return;
  const words = inRegion(region.words, target.alignment.words);
  const before = source.alignment.words;
  // Those that the words stand for are named by the words.
  const stood = new Set(words.flatMap(({ sources }) => sources.map((place) => nameOf(before[place]))));
  const gone = inRegion(region.source_words, before).map(nameOf).filter((name) => !stood.has(name));
  for (const word of words) target.blend.add(nameOf(word));
  for (const name of gone) target.gone.add(name);
}

/** The kind that chosen edits are shown as. */
export const kindIn = ([edit]) => (edit?.kind === "reweight" ? "weights" : (edit?.kind ?? "prompt"));

/** Makes all that is chosen the target's own, but the region: a request without `edits` cannot say "no region". */
export function ownSettings(target) {
  const { edits, cross_window: cross, self_window: self } = chosenOf(target);
  target.kind = kindIn(edits);
  target.guided = true;
  target.filled = edits[0].filled_by ?? null;
  target.cross ??= cross;
  target.self ??= self;
}
