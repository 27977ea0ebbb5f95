// The words of an edited prompt as the aligner sees them: marked, weighed, and chosen for the local blend.

import { align } from "./aligner.js";
import { inRegion, isAutomatic, ownRegion, ownSettings, regionOf } from "./chosen.js";
import { changed, draft, saysRegion } from "./draft.js";
import { fresh, h, icon, ICONS } from "./dom.js";
import { nameOf } from "./names.js";

/** How far the slider goes; the API takes up to 50 either way, by the number beside it. */
const SLIDER = { min: -2, max: 6, step: 0.1 };

/** The row of words of one target, and below it the controls of the word that is open. */
export function wordsField(target, index) {
  const row = h("div", { class: "words", role: "group", "aria-label": `Words of edit ${index + 1}` });
  const panel = h("div", { class: "word-panel", id: fresh("word"), hidden: true });
  const at = `/targets/${index}`;
  const pointers = `${at}/weights ${at}/edits/0/weights ${at}/edits/1/weights ${at}/local_blend ${at}/word_windows`;
  const field = h("div", { class: "field words-field", "data-pointers": pointers }, row, panel);
  let open = null;
  let region = () => {}; // brings the open word's checkbox up to date

  function show() {
    const words = target.alignment?.words ?? [];
    const before = draft.source.alignment?.words ?? [];
    const focused = row.contains(document.activeElement) ? document.activeElement.dataset.name : null;
    const chips = words.map((word) => chip(word, before));
    const removed = (target.alignment?.removed ?? []).map((place) => ghost(before[place]));
    const inside = words.length ? target.names.filter(({ found }) => found).map(part) : [];
    row.replaceChildren(...chips, ...removed.filter(Boolean), ...inside);
    row.hidden = !words.length;
    if (open) region();
    if (open && ![...row.children].some((each) => each.dataset.name === open.key)) shut();
    else if (open) mark();
    if (focused) [...row.children].find((each) => each.dataset.name === focused)?.focus();
  }

  function chip(word, before) {
    const stood = word.sources.map((place) => before[place]?.word).filter(Boolean).join(" ");
    const said = { kept: "", changed: stood ? `for ${stood}` : "changed", added: "new" }[word.state];
    return button({ ...word, key: `w ${nameOf(word)}`, said });
  }
  /** A part of a word that a loaded edit names: it can be taken out of the request, and otherwise stays as it is. */
  const part = (name) =>
    h("button", {
      type: "button", class: "word part", "aria-label": `Take out ${name.word}, a part of a word`,
      onclick: () => {
        target.names = target.names.filter((each) => each !== name);
        changed();
        show();
      },
    },
      h("span", { class: "text" }, name.word),
      h("span", { class: "said" }, { weights: "part of a word", blend: "part that may change", gone: "part that goes" }[name.list]),
      name.list === "weights" ? h("span", { class: "weight" }, `\u00d7${name.weight}`) : null);
  const ghost = (word) => word && button({ ...word, key: `s ${nameOf(word)}`, state: "removed", said: "gone" });

  function button(word) {
    const weight = word.state === "removed" ? 1 : (target.weights.get(nameOf(word)) ?? 1);
    const blends = mayChange(word);
    return h("button", {
      type: "button", class: `word ${word.state}${blends ? " blends" : ""}`, "data-name": word.key, "data-state": word.state,
      "aria-expanded": String(open?.key === word.key), "aria-controls": panel.id,
      onclick: () => (open?.key === word.key ? shut() : unfold(word)),
    },
      h("span", { class: "text" }, word.word),
      word.said ? h("span", { class: "said" }, word.said) : null,
      weight !== 1 ? h("span", { class: "weight" }, `\u00d7${weight}`) : null,
      blends ? [icon(ICONS.region), h("span", { class: "vh" }, saysRegion(target) ? "may change" : "may change, as chosen from the words")] : null);
  }

  const own = (word) => (word.state === "removed" ? target.gone : target.blend);

  /** Whether the picture may change at a word: as one chose it, else as the service does. */
  function mayChange(word) {
    if (saysRegion(target)) return own(word).has(nameOf(word));
    const region = regionOf(target);
    return region ? inRegion(word.state === "removed" ? region.source_words : region.words, [word]).length > 0 : false;
  }

  function unfold(word) {
    open = word;
    panel.replaceChildren(...(word.state === "removed" ? [] : weightOf(word)), blendOf(word));
    panel.hidden = false;
    panel.setAttribute("role", "group");
    panel.setAttribute("aria-label", `\u201c${word.word}\u201d`);
    mark();
    (panel.querySelector("input")).focus();
  }
  function shut() {
    const key = open?.key;
    open = null;
    panel.hidden = true;
    mark();
    if (panel.contains(document.activeElement)) [...row.children].find((each) => each.dataset.name === key)?.focus();
  }
  function mark() {
    for (const each of row.children) each.setAttribute("aria-expanded", String(each.dataset.name === open?.key));
  }
  panel.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    const key = open?.key;
    shut();
    [...row.children].find((each) => each.dataset.name === key)?.focus();
  });

  function weightOf(word) {
    const name = nameOf(word);
    const now = target.weights.get(name) ?? 1;
    const range = h("input", {
      type: "range", ...text(SLIDER), value: String(now), "aria-label": `Weight of ${word.word}`,
      oninput: () => set(Number(range.value)),
    });
    const number = h("input", {
      type: "number", min: "-50", max: "50", step: "0.1", value: String(now), class: "number",
      "aria-label": `Weight of ${word.word}, as a number`, oninput: () => number.value !== "" && set(Number(number.value)),
    });
    function set(weight) {
      if (weight === 1) target.weights.delete(name);
      else target.weights.set(name, weight);
      if (Number(range.value) !== weight) range.value = String(weight);
      if (Number(number.value) !== weight) number.value = String(weight);
      fill(range);
      changed();
      show();
      align();
    }
    fill(range);
    return [
      h("div", { class: "label-row" },
        h("span", { class: "label" }, "How strongly it acts"),
        h("button", { type: "button", class: "link", onclick: () => set(1) }, "Reset")),
      h("div", { class: "pair" }, range, number),
      h("p", { class: "help" }, isAutomatic(target)
        ? "1 leaves it, more turns it up, less takes it back. At 0 it is as if the prompt did not say it; below 0 pushes against it."
        : "1 leaves it, more turns it up, below 0 pushes against it. 0 takes the word\u2019s attention, and the thing usually stays: to remove it, take its word out of the prompt and let the picture change there."),
    ];
  }

  function blendOf(word) {
    const box = h("input", {
      type: "checkbox",
      onchange: () => {
        setRegion(word, box.checked);
        changed();
        show();
      },
    });
    region = () => (box.checked = mayChange(word));
    region();
    return h("label", { class: "check" }, box, h("span", {}, "Only here may the picture change",
      h("small", {}, "Local blend: outside the regions of the words chosen so, it stays as the source.")));
  }

  /** The first change of a region that is chosen begins with that region; without any word left, all is one's own. */
  function setRegion(word, isIn) {
    if (!saysRegion(target)) ownRegion(target, draft.source);
    if (isIn) return own(word).add(nameOf(word));
    own(word).delete(nameOf(word));
    if (saysRegion(target) || !regionOf(target)) return;
    ownSettings(target);
    target.threshold = null;
    align({ now: true });
  }

  document.addEventListener("aligned", function again() {
    if (!field.isConnected && field.dataset.shown) document.removeEventListener("aligned", again);
    else show();
    if (field.isConnected) field.dataset.shown = "yes";
  });
  show();
  return field;
}

const text = (numbers) => Object.fromEntries(Object.entries(numbers).map(([name, value]) => [name, String(value)]));

/** Tells a slider's style how far it stands: no browser but one colours the part before the thumb by itself. */
export function fill(range) {
  const [min, max, value] = [range.min, range.max, range.value].map(Number);
  range.style.setProperty("--at", (value - min) / (max - min));
}
