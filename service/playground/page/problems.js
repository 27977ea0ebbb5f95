// What the API refuses is said next to the field that its JSON pointer points to, else above everything.

import { $, fresh, h } from "./dom.js";

/** Fields say which pointers are theirs: `data-pointers`, separated by spaces; the longest that fits is taken. */
function fieldOf(pointer) {
  let best = null;
  let length = -1;
  for (const field of document.querySelectorAll("[data-pointers]")) {
    for (const own of field.dataset.pointers.split(" ")) {
      if ((pointer === own || pointer.startsWith(`${own}/`)) && own.length > length) {
        best = field;
        length = own.length;
      }
    }
  }
  return best;
}

/** Shows complaints; `as` tells those of typing from those of running. Gives how many found no field. */
export function showProblems(errors, { as, focus = false } = {}) {
  const homeless = [];
  let first = null;
  let place = null;
  for (const { pointer, detail, code } of errors) {
    const field = fieldOf(pointer);
    if (!field) {
      homeless.push({ pointer, detail });
      continue;
    }
    // A field may hold another one: its input is the first that is its own.
    const inputs = [...field.querySelectorAll("[data-input]"), ...field.querySelectorAll("input, textarea, select, button")];
    const input = inputs.find((each) => each.closest("[data-pointers]") === field) ?? inputs[0];
    const id = fresh("problem");
    const text = h("p", { class: "error", id, "data-as": as, "data-code": code }, sentence(detail));
    field.append(text);
    field.closest("details")?.setAttribute("open", "");
    input.setAttribute("aria-invalid", "true");
    input.setAttribute("aria-describedby", [input.getAttribute("aria-describedby"), id].filter(Boolean).join(" "));
    first ??= input;
    place ??= field;
  }
  if (focus && first) {
    first.focus({ preventScroll: true });
    place.scrollIntoView({ block: "nearest" }); // all of it: what is wrong stands below the input
  }
  return homeless;
}

/** Shows what an edit that was accepted has to say about its fields. */
export function showNotices(notices) {
  clearNotices();
  const homeless = [];
  for (const { pointer, detail, code } of notices ?? []) {
    const field = fieldOf(pointer);
    if (!field) homeless.push(detail);
    else field.append(h("p", { class: "note", role: "note", "data-code": code }, sentence(detail)));
  }
  if (homeless.length) notice(homeless.map(sentence).join(" "));
}

export function clearNotices() {
  for (const text of document.querySelectorAll(".note")) text.remove();
}

export function clearProblems(as) {
  for (const text of document.querySelectorAll(`.error[data-as="${as}"]`)) {
    const input = document.querySelector(`[aria-describedby~="${text.id}"]`);
    text.remove();
    if (!input) continue;
    const left = input.getAttribute("aria-describedby").split(" ").filter((id) => id !== text.id);
    if (left.length) input.setAttribute("aria-describedby", left.join(" "));
    else input.removeAttribute("aria-describedby");
    if (!left.some((id) => document.getElementById(id)?.classList.contains("error"))) input.removeAttribute("aria-invalid");
  }
}

/** Above everything, and read out at once; with something to do about it. Nothing given takes it away. */
export function notice(text, ...actions) {
  const place = $("#notice");
  place.replaceChildren();
  place.hidden = !text;
  if (text) place.append(h("p", {}, sentence(text)), ...actions);
}

/** Read out when nothing else is; not to be seen. */
export function say(text) {
  $("#say").textContent = text;
}

export const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?)]$/.test(text) ? "" : ".");
