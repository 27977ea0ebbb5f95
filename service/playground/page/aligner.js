// Asks how the words correspond as one types: one request at a time, the one before it given up.

import { post, Problem, ROOT } from "./api.js";
import { aligns, draft, weighed } from "./draft.js";
import { asked, bare, settle } from "./names.js";
import { clearProblems, showProblems } from "./problems.js";

/** Milliseconds without a key pressed: shorter than a thought, longer than a typist's pause between two letters. */
const PAUSE = 180;
let timer = 0;
let under = null;
let pending = Promise.resolve();

/** Resolves once the marks are those of the prompts as they stand. */
export const aligned = () => pending;

export function align({ now = false } = {}) {
  clearTimeout(timer);
  under?.abort();
  const own = (under = new AbortController());
  pending = new Promise((resolve) => {
    own.signal.addEventListener("abort", resolve);
    timer = setTimeout(() => ask(own.signal).finally(resolve), now ? 0 : PAUSE);
  });
  return pending;
}

async function ask(signal) {
  const source = draft.source.prompt.trim();
  let targets = draft.targets.filter((target) => target.prompt.trim());
  for (const target of draft.targets) if (!target.prompt.trim()) target.alignment = null;
  const problems = [];
  // What the API refuses of one prompt keeps the others from their marks no longer than one more request.
  for (let turn = 0; turn < 2 && source && targets.length; turn += 1) {
    const names = targets.map((target) => asked(target, false));
    const gone = targets.map((target) => asked(target, true));
    const fields = targets.map((target, index) => ({
      prompt: target.prompt.trim(),
      ...(aligns(target.kind) ? { kind: target.kind } : {}),
      ...weighed(target),
      ...named(names[index]),
    }));
    const body = { model: draft.model, source: { prompt: source, ...named(gone.flat()) }, targets: fields };
    try {
      const answer = await post(`${ROOT}/v1/alignments`, body, { signal, quiet: true });
      draft.source.alignment = answer.source;
      draft.source.max_tokens = answer.max_tokens;
      const ofSource = [...answer.source.names];
      targets.forEach((target, index) => {
        target.alignment = answer.targets[index];
        settle(target, names[index], answer.targets[index].names, answer.targets[index].words);
        settle(target, gone[index], ofSource.splice(0, gone[index].length), answer.source.words);
      });
      break;
    } catch (error) {
      if (error.name === "AbortError") return;
      if (!(error instanceof Problem) || error.status !== 422) break; // running shows it
      problems.push(...error.errors.map((each) => ({ ...each, pointer: placed(each.pointer, targets) })));
      const refused = new Set(error.errors.map(({ pointer }) => /^\/targets\/(\d+)/.exec(pointer)?.[1]));
      for (const index of refused) if (index !== undefined) targets[index].alignment = null;
      targets = targets.filter((_, index) => !refused.has(String(index)));
      if (error.errors.some(({ pointer }) => pointer.startsWith("/source"))) break;
    }
  }
  if (signal.aborted) return;
  clearProblems("typing");
  showProblems(problems, { as: "typing" });
  document.dispatchEvent(new Event("aligned"));
}

/** Names as a field of what is asked; no field without any. */
const named = (names) => (names.length ? { names: names.map(bare) } : {});

/** A pointer into what was asked, as one into the draft: blank prompts were left out. */
function placed(pointer, targets) {
  return pointer.replace(/^\/targets\/(\d+)/, (_, index) => `/targets/${draft.targets.indexOf(targets[index])}`);
}
