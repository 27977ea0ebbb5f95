// The LoRAs of the chosen model, each with its weight: nothing is shown where it has none.

import { changed, draft } from "./draft.js";
import { h } from "./dom.js";
import { fill } from "./words.js";

export function loraFields(model) {
  const offered = model.loras.map(({ id }) => id);
  // One of an earlier edit may be offered no more: it is shown, so that it can be taken out.
  const gone = [...draft.loras.keys()].filter((id) => !offered.includes(id));
  const all = [...model.loras, ...gone.map((id) => ({ id, description: "This model offers it no more.", words: [], max_weight: 2 }))];
  if (!all.length) return [];
  const fields = all.map((lora) => loraField(lora, point));

  /** Which one a pointer means follows from the order in which they are sent: that of choosing. */
  function point() {
    const order = [...draft.loras.keys()];
    for (const field of fields) {
      const place = order.indexOf(field.dataset.lora);
      if (place < 0) delete field.dataset.pointers;
      else field.dataset.pointers = `/loras/${place}`;
    }
  }
  point();
  return [h("div", { class: "field loras", role: "group", "aria-labelledby": "s-loras", "data-pointers": "/loras" },
    h("p", { class: "label", id: "s-loras" }, "LoRAs"), fields)];
}

function loraField({ id, description, words, max_weight: most }, moved) {
  const label = `Weight of ${id}`;
  const chosen = h("input", { type: "checkbox", "data-input": "", onchange: () => set(chosen.checked ? Math.min(1, most) : null) });
  const range = h("input", { type: "range", min: "0", max: String(most), step: "0.05", "aria-label": label, oninput: () => set(Number(range.value)) });
  // A negative one turns the change around: seldom wanted, so it is typed.
  const number = h("input", { type: "number", class: "number", min: String(-most), max: String(most), step: "any", "aria-label": label,
    oninput: () => number.value !== "" && set(Number(number.value)) });
  const said = [description, words.length && `Say \u201c${words.join("\u201d or \u201c")}\u201d in a prompt.`].filter(Boolean).join(" ");

  function set(weight) {
    if (weight === null) draft.loras.delete(id);
    else draft.loras.set(id, weight);
    show();
    moved();
    changed();
  }
  function show() {
    const weight = draft.loras.get(id);
    chosen.checked = weight !== undefined;
    for (const input of [range, number]) {
      input.hidden = weight === undefined;
      if (weight !== undefined && Number(input.value) !== weight) input.value = String(weight);
    }
    fill(range);
  }
  show();
  return h("div", { class: "lora", "data-lora": id },
    h("div", { class: "label-row" }, h("label", { class: "check" }, chosen, h("span", {}, id, said && h("small", {}, said))), number),
    range);
}
