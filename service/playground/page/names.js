// How the words of a target are named in a body, and what names that a loaded request has come to.

/** A word as the API names it, as one string: only to find it again. What a name means is the API's to say. */
export const nameOf = ({ word, occurrence }) => `${word.toLowerCase()} ${occurrence}`;

/** A word's name in a body; its occurrence only if the prompt holds the name more than once. */
export const named = ({ word, occurrence, occurrences }) => (occurrences > 1 ? { word, occurrence } : { word });

/** A name that a request or an answer has, without fields that say nothing. */
export const bare = ({ word, occurrence }) => (occurrence ? { word, occurrence } : { word });

/** Names that mean parts of words, which have no button of their own: as they were given. */
export const parts = (target, list) =>
  target.names.filter((each) => each.list === list && each.found).map(bare);

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

/** The words that are turned up or down, as a body has them. */
export function weightsOf(target) {
  const weightOf = (word) => target.weights.get(nameOf(word)) ?? 1;
  const words = (target.alignment?.words ?? []).filter((word) => weightOf(word) !== 1);
  const inside = target.names.filter(({ list, found }) => list === "weights" && found);
  const more = parts(target, "weights").map((name, index) => ({ ...name, weight: inside[index].weight }));
  return [...words.map((word) => ({ ...named(word), weight: weightOf(word) })), ...more];
}
