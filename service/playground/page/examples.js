// Edits to begin with, one of each sort (examples.json); their pictures are made by `python -m tools.screenshots`.

import { ROOT } from "./api.js";
import { $, h } from "./dom.js";

/** Draws a button and a card for each; `choose` is given the one that was clicked. */
export function drawExamples(examples, choose) {
  const take = (example) => () => choose(example);
  $("#tries").replaceChildren(...examples.map((example) => h("button", { type: "button", class: "try", onclick: take(example), title: example.about }, example.title)));
  $("#cards").replaceChildren(...examples.map((example) => h("li", {},
    h("button", { type: "button", class: "example", onclick: take(example) },
      h("img", { src: `${ROOT}/playground/examples/${example.name}.webp`, alt: "", width: 256, height: 128 }),
      h("strong", {}, example.title), h("span", {}, example.about)))));
}

/** The picture that an example edits, as a file to send. */
export async function fileOf({ file }) {
  const response = await fetch(`${ROOT}/playground/examples/${file}`);
  return new File([await response.blob()], file, { type: "image/png" });
}
