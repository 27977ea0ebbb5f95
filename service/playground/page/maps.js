// Point at a word and see where it acted: its heat map over its picture, and its counterpart's over the source.

import { $, h } from "./dom.js";
import { nameOf } from "./names.js";
import { say } from "./problems.js";

/** Makes the words below the pictures buttons that show their maps; false where there are no maps. */
export function layMaps(shots, artifacts, alignment) {
  const urls = new Map();
  for (const each of artifacts) if (each.kind === "heatmap") urls.set(`${each.picture} ${nameOf(each)}`, each.url);
  if (!urls.size) return false;
  const prompts = [alignment.source, ...alignment.targets];
  let pinned = null;

  shots.forEach((shot, picture) => {
    const { prompt, words } = prompts[picture];
    // Positions are counted in code points, as Python does, not in the halves of JavaScript's strings.
    const text = Array.from(prompt);
    const parts = [];
    let at = 0;
    words.forEach((word, index) => {
      parts.push(text.slice(at, word.start).join(""), button(picture, word, index));
      at = word.stop;
    });
    $(".prompt", shot).replaceChildren(...parts, text.slice(at).join(""));
  });

  function button(picture, word, index) {
    const of = { picture, index };
    return h("button", {
      type: "button", class: `w ${word.state ?? ""}`, "aria-pressed": "false", disabled: !urls.has(`${picture} ${nameOf(word)}`),
      onpointerenter: (event) => event.pointerType !== "touch" && show(of),
      onpointerleave: (event) => event.pointerType !== "touch" && show(pinned),
      onfocus: () => show(of),
      onblur: () => show(pinned),
      onkeydown: (event) => event.key === "Escape" && pin(null),
      onclick: () => pin(pinned?.picture === picture && pinned.index === index ? null : of),
    }, word.word);
  }

  function pin(of) {
    pinned = of;
    shots.forEach((shot, picture) => {
      shot.querySelectorAll(".w").forEach((each, index) => each.setAttribute("aria-pressed", String(of?.picture === picture && of.index === index)));
    });
    show(of);
    if (of) say(`The heat map of ${prompts[of.picture].words[of.index].word} is shown over the picture.`);
  }

  /** Which word's map each picture shows while one word is pointed at: those that correspond to it. */
  function shown(of) {
    if (!of) return new Map();
    const found = new Map([[of.picture, of.index]]);
    if (of.picture) {
      const [source] = alignment.targets[of.picture - 1].words[of.index].sources;
      if (source !== undefined) found.set(0, source);
      return found;
    }
    alignment.targets.forEach(({ words }, index) => {
      const place = words.findIndex(({ sources }) => sources.includes(of.index));
      if (place >= 0) found.set(index + 1, place);
    });
    return found;
  }

  function show(of) {
    const found = shown(of);
    shots.forEach((shot, picture) => {
      const word = prompts[picture].words[found.get(picture)];
      lay(shot, word && urls.get(`${picture} ${nameOf(word)}`), word?.word);
      shot.querySelectorAll(".w").forEach((each, index) => each.classList.toggle("lit", found.get(picture) === index));
    });
  }
  return true;
}

/** One map over one picture: what is still loading shows nothing, never the map of another word. */
async function lay(shot, url, word) {
  const heat = $(".heat", shot);
  const label = $(".acted", shot);
  heat.dataset.wanted = url ?? "";
  label.hidden = !url;
  if (!url) return heat.classList.remove("on");
  label.textContent = `where \u201c${word}\u201d acted`;
  heat.hidden = false;
  if (heat.getAttribute("src") !== url) {
    heat.classList.remove("on");
    heat.src = url;
  }
  await heat.decode().catch(() => {});
  if (heat.dataset.wanted === url) heat.classList.add("on");
}
