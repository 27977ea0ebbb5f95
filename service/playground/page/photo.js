// A photo as the source: dropped or chosen, sent at once, named by its id.

import { Problem, upload } from "./api.js";
import { changed, draft } from "./draft.js";
import { h, icon, ICONS } from "./dom.js";
import { clearProblems, notice, say, sentence, showProblems } from "./problems.js";

const TYPES = "image/png,image/jpeg,image/webp,image/avif,image/heic,image/heif,.heic,.heif,.avif";

export function photoField() {
  const { image } = draft.source;
  const file = h("input", { type: "file", accept: TYPES, class: "vh", "data-input": "", id: "photo-file",
    "aria-label": "A photo to edit", onchange: () => file.files[0] && sendPhoto(file.files[0]) });
  const field = h("div", { class: "field photo", "data-pointers": "/source/image /image" });
  if (image) {
    const shown = image.shown
      // Few browsers show HEIC; the service keeps it as PNG.
      ? h("img", { src: image.shown, alt: "The photo that is edited",
        onerror: ({ target }) => target.src !== image.url && (target.src = image.url) })
      : h("span", { class: "blank" }, icon(ICONS.picture));
    field.append(h("div", { class: "photo-kept" }, shown,
      h("p", {}, h("strong", {}, image.name), h("small", {}, image.width ? `${image.width} \u00d7 ${image.height}` : "")),
      h("button", { type: "button", class: "link", onclick: remove }, "Remove")));
  } else {
    field.append(h("label", { class: "drop", for: "photo-file" }, icon(ICONS.picture),
      h("span", {}, h("strong", {}, "Use a photo"), " \u00b7 drop or choose one")), file);
    field.addEventListener("dragover", (event) => {
      event.preventDefault();
      field.classList.add("over");
    });
    field.addEventListener("dragleave", () => field.classList.remove("over"));
    field.addEventListener("drop", (event) => {
      event.preventDefault();
      field.classList.remove("over");
      if (event.dataTransfer.files[0]) sendPhoto(event.dataTransfer.files[0]);
    });
  }
  return field;
}

/** Sends a picture and makes it the source. */
export async function sendPhoto(file) {
  clearProblems("photo");
  notice("");
  const field = document.querySelector(".photo");
  field.classList.add("busy");
  say("Sending the photo.");
  try {
    const image = await upload(file);
    draft.source.image = { ...image, name: file.name, shown: URL.createObjectURL(file), rest: {} };
    say("The photo is here. Say in the prompt what it shows.");
    changed(true);
    document.getElementById("source-prompt").focus();
  } catch (error) {
    if (!(error instanceof Problem)) return;
    const errors = error.errors.length ? error.errors : [{ pointer: "/image", code: error.code, detail: error.message }];
    for (const { detail } of showProblems(errors, { as: "photo", focus: true })) notice(sentence(detail));
  } finally {
    field.classList.remove("busy");
    const input = document.getElementById("photo-file");
    if (input) input.value = "";
  }
}

function remove() {
  if (draft.source.image.shown) URL.revokeObjectURL(draft.source.image.shown);
  draft.source.image = null;
  changed(true);
  document.getElementById("source-prompt").focus();
}
