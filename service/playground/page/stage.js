// The pictures: the source and its edits, as they come and once they are there.

import { post, ROOT } from "./api.js";
import { changed, draft } from "./draft.js";
import { $, h, icon, ICONS } from "./dom.js";
import { layMaps } from "./maps.js";
import { notice, say, sentence } from "./problems.js";

const titleOf = (picture, count) => (picture === 0 ? "Source" : count > 2 ? `Edit ${picture}` : "Edit");
const TITLE = document.title;
let shots = [];

/** Makes room for an edit's pictures; what they will be of is said below them already. */
export function begin(spec) {
  $("#empty").hidden = true;
  $("#result").hidden = false;
  $("#gallery").hidden = false;
  $("#hint").hidden = true;
  $("#facts").textContent = "";
  $("#mask-tool").hidden = true;
  const prompts = [spec.source.prompt, ...spec.targets.map(({ prompt }) => prompt)];
  shots = prompts.map((prompt, picture) => shot(prompt, picture, prompts.length));
  for (const old of document.querySelectorAll("#gallery .shot")) old.remove();
  $("#gallery").prepend(...shots);
  $("#gallery").dataset.count = String(shots.length);
  $("#gallery").classList.add("coming");
  picks(prompts.length);
}

function shot(prompt, picture, count) {
  const title = titleOf(picture, count);
  return h("figure", { class: `shot ${picture === 0 ? "source" : "edit"}`, "data-picture": String(picture) },
    h("div", { class: "pic" },
      h("div", { class: "tile" }, h("img", { class: "main", alt: "", hidden: true })),
      h("img", { class: "over mask", alt: "", hidden: true }),
      h("img", { class: "over heat", alt: "", hidden: true }),
      h("span", { class: "acted", hidden: true })),
    h("figcaption", {},
      h("div", { class: "head" }, h("strong", {}, title), h("span", { class: "kind" })),
      h("p", { class: "prompt" }, prompt),
      h("p", { class: "help says" })));
}

/** Which edit the wipe shows, where there are several. */
function picks(count) {
  const several = count > 2;
  $("#picks").replaceChildren(...(several ? Array.from({ length: count - 1 }, (_, index) =>
    h("label", {}, h("input", { type: "radio", name: "pick", value: String(index + 1), checked: index === 0, onchange: () => pick(index + 1) }),
      h("span", {}, String(index + 1)))) : []));
  pick(1);
}

function pick(picture) {
  for (const each of shots) each.classList.toggle("picked", each.dataset.picture === String(picture));
}

/** A preview: all pictures side by side in one file, a tile of it for each. */
export async function preview(url) {
  const whole = new Image();
  whole.src = url;
  await whole.decode().catch(() => {});
  if (!$("#gallery").classList.contains("coming")) return;
  shots.forEach((each, picture) => {
    const image = $(".main", each);
    image.src = url;
    image.hidden = false;
    image.classList.add("part");
    image.style.width = `${shots.length * 100}%`;
    image.style.marginLeft = `${-100 * picture}%`;
    if (whole.naturalWidth) $(".pic", each).style.aspectRatio = `${whole.naturalWidth / shots.length} / ${whole.naturalHeight}`;
  });
}

/** How it stands, in words and as a bar; `share` is absent where nothing tells. */
export function standing(text, share, { bad = false } = {}) {
  $("#result").hidden = false;
  $("#empty").hidden = true;
  $("#standing").hidden = !text;
  $("#standing").classList.toggle("bad", bad);
  $("#standing-text").textContent = text;
  document.title = share === undefined ? TITLE : `${Math.round(share * 100)} % \u00b7 ${TITLE}`;
  const bar = $("#progress");
  bar.hidden = bad;
  if (share === undefined) bar.removeAttribute("value");
  else bar.value = share;
}

/** An edit that has succeeded: its pictures, masks, and a heat map for each word. */
export async function finish(view) {
  const several = view.spec.sampling.seeds;
  const artifacts = several ? view.artifacts.filter(({ seed }) => seed === several[0] || seed === null) : view.artifacts;
  for (const { kind, picture, url, name } of artifacts) {
    if (kind === "image") picture_of(shots[picture], url, name, view);
    if (kind === "mask") mask_of(shots[picture], url);
  }
  for (const each of shots) each.classList.toggle("contained", view.spec.source.image?.fit === "contain");
  $("#gallery").classList.remove("coming");
  $("#mask-tool").hidden = !artifacts.some(({ kind }) => kind === "mask");
  $("#facts").replaceChildren(factsOf(view, several), ...lockOf(view));
  standing("");
  const alignment = await alignmentOf(view.spec);
  const laid = alignment && layMaps(shots, artifacts, alignment);
  $("#hint").hidden = !laid;
}

function picture_of(place, url, name, { spec, chosen }) {
  const image = $(".main", place);
  const picture = Number(place.dataset.picture);
  const prompt = picture ? spec.targets[picture - 1].prompt : spec.source.prompt;
  image.classList.remove("part");
  [image.style.width, image.style.marginLeft] = ["", ""];
  image.src = url;
  image.hidden = false;
  image.alt = `${titleOf(picture, shots.length)}: ${prompt}`;
  image.onload = () => {
    $(".pic", place).style.aspectRatio = `${image.naturalWidth} / ${image.naturalHeight}`;
  };
  const title = titleOf(picture, shots.length).toLowerCase();
  $(".save", place)?.remove();
  $(".head", place).append(h("a", { class: "save", href: url, download: name, target: "_blank", rel: "noopener", "aria-label": `Save the picture: ${title}` }, icon(ICONS.save)));
  if (!picture) return;
  const choice = (chosen ?? []).find((each) => each.picture === picture);
  // A choice of the service is shown by what it does, not by the kind's name.
  $(".kind", place).textContent = choice ? "" : spec.targets[picture - 1].edits.map(said).join(", ");
  $(".says", place).textContent = choice ? sentence(choice.says) : "";
}

const said = (edit) => (edit.kind === "reweight" ? edit.weights.map(({ word, weight }) => `${word} \u00d7${weight}`).join(", ") : edit.kind);

function mask_of(place, url) {
  const mask = $(".mask", place);
  mask.src = url;
  mask.hidden = false;
}

function factsOf(view, several) {
  const { steps, seed } = view.spec.sampling;
  const seconds = (Date.parse(view.finished_at) - Date.parse(view.started_at)) / 1000;
  const facts = [`${steps} steps`, `${seconds.toFixed(1)} s`];
  const psnr = view.reconstruction?.psnr;
  if (view.reconstruction) facts.push(psnr === null ? "photo comes back exactly" : `photo comes back with ${psnr.toFixed(1)} dB`);
  // A photo has one run, whatever the seed.
  else facts.splice(1, 0, several ? `seed ${several[0]}, the first of ${several.length}` : `seed ${seed}`);
  return facts.join(" \u00b7 ");
}

/** A button that puts the seed of these pictures into its field, where another one would be drawn for the next run. */
function lockOf({ seed, spec }) {
  if (seed === null || spec.source.image || draft.seed === seed) return [];
  const lock = () => {
    draft.seed = seed;
    changed(true);
    button.remove();
    say(`Seed ${seed} is kept for the next runs.`);
    document.getElementById("s-seed").focus();
  };
  const button = h("button", { type: "button", class: "link", id: "lock-seed", onclick: lock }, "Keep this seed");
  return [" \u00b7 ", button];
}

/** The words of the result's own prompts: those in the fields may say something else by now. */
async function alignmentOf(spec) {
  if (!spec.targets.length) return null;
  const targets = spec.targets.map(({ prompt, edits }) => {
    const kind = edits.find((edit) => edit.kind !== "reweight")?.kind;
    return kind ? { prompt, kind } : { prompt };
  });
  const body = { model: spec.model, source: { prompt: spec.source.prompt }, targets };
  return post(`${ROOT}/v1/alignments`, body, { quiet: true }).catch(() => null);
}

/** An edit that came to another end; below it may stand one that is shown. */
export function ended(view) {
  const texts = {
    failed: `This edit failed: ${view.error?.message ?? "no reason is known"}`,
    canceled: "Canceled. Nothing of it is kept",
    expired: "It waited longer than it may, and was given up: run it again",
  };
  $("#gallery").classList.remove("coming");
  standing(sentence(texts[view.status]), undefined, { bad: view.status !== "canceled" });
  $("#progress").hidden = true;
  $("#gallery").hidden = !$("#gallery .main:not([hidden])"); // no previews came: frames of nothing
  $("#standing").classList.add("ended");
  say(texts[view.status]);
}

export function clear() {
  $("#standing").classList.remove("ended", "bad");
  notice("");
}
