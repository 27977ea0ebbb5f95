// A slider with two thumbs: the part of the run in which something acts.

import { fresh, h } from "./dom.js";

/**
 * @param label what it is of, and `help` what moving it does.
 * @param pointers of its field in the body.
 * @param onchange is given {start, stop}, or null where it was set back to what it is otherwise (`usual`).
 */
export function windowField({ label, help, pointers, value, usual, onchange }) {
  const id = fresh("window");
  const at = (name, said) =>
    h("input", {
      type: "range", min: "0", max: "1", step: "0.05", class: name, "data-input": "",
      "aria-label": `${label}: ${said}`, "aria-describedby": id, oninput: () => moved(name),
    });
  const start = at("start", "starts");
  const stop = at("stop", "stops");
  const read = h("output", {});
  const back = h("button", { type: "button", class: "link", onclick: () => set(null) }, "Reset");
  const rail = h("div", { class: "rail" }, start, stop);

  function moved(name) {
    // One thumb pushes the other: a window never ends before it begins.
    if (Number(start.value) > Number(stop.value)) (name === "start" ? stop : start).value = (name === "start" ? start : stop).value;
    set({ start: Number(start.value), stop: Number(stop.value) });
  }
  function set(given) {
    onchange(given);
    show(given);
  }
  function show(given) {
    const { start: from, stop: to } = given ?? usual();
    [start.value, stop.value] = [from, to];
    for (const input of [start, stop]) input.setAttribute("aria-valuetext", percent(input.value));
    rail.style.setProperty("--from", from);
    rail.style.setProperty("--to", to);
    read.textContent = from === to ? "never" : `${percent(from)} to ${percent(to)}`;
    back.hidden = !given;
  }
  show(value);
  const field = h("div", { class: "field window", role: "group", "aria-label": label, "data-pointers": pointers },
    h("div", { class: "label-row" }, h("span", { class: "label" }, label), back, read),
    rail,
    h("p", { class: "help", id }, help));
  return { field, show };
}

const percent = (share) => `${Math.round(share * 100)} %`;
