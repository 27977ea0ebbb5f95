// This key's edits, the newest first; one that is clicked is shown, and its request is put into the fields.

import { get, Problem, ROOT } from "./api.js";
import { $, h } from "./dom.js";

const PAGE = 6;
let cursor = null;

/** Reads the first page again, or with `more` the next one behind it. */
export async function drawHistory(open, { more = false } = {}) {
  const address = `${ROOT}/v1/edits?limit=${PAGE}${more && cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`;
  const { edits, cursor: next } = await get(address, { quiet: true });
  cursor = next;
  const views = await Promise.all(edits.map(({ links }) => get(links.self, { quiet: true }).catch(gone)));
  const items = views.filter((view) => view?.spec.targets.length).map((view) => item(view, open));
  if (more) $("#history").append(...items);
  else $("#history").replaceChildren(...items);
  $("#history-more").hidden = !next;
  $("#history-none").hidden = $("#history").children.length > 0;
}

/** Erased, or over its lifetime, since the list was read. */
function gone(error) {
  if (error instanceof Problem && error.status === 404) return null;
  throw error;
}

function item(view, open) {
  const image = (picture) => view.artifacts.find((each) => each.kind === "image" && each.picture === picture)?.url;
  const picture = (url) => (url ? h("img", { src: url, alt: "", loading: "lazy" }) : h("span", { class: "blank" }));
  const { source, targets } = view.spec;
  const more = targets.length > 1 ? ` and ${targets.length - 1} more` : "";
  return h("li", {}, h("button", { type: "button", "data-id": view.id, onclick: () => open(view.id) },
    h("span", { class: "thumbs" }, picture(image(0)), picture(image(1))),
    h("span", { class: "what" },
      h("strong", {}, targets[0].prompt + more),
      h("span", {}, `from ${source.prompt}`),
      h("small", {}, [view.status === "succeeded" ? null : view.status, ago(view.created_at)].filter(Boolean).join(" \u00b7 ")))));
}

function ago(time) {
  const minutes = Math.round((Date.now() - Date.parse(time)) / 60000);
  if (minutes < 1) return "just now";
  if (minutes < 60) return `${minutes} min ago`;
  return minutes < 1440 ? `${Math.round(minutes / 60)} h ago` : `${Math.round(minutes / 1440)} d ago`;
}
