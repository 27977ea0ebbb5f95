// Side by side, or one over the other with a wipe between them: the same figures, laid out by the style sheet.

import { $ } from "./dom.js";

export function setUpCompare() {
  const gallery = $("#gallery");
  const range = $("#wipe");
  const show = () => {
    const { value: view } = $("input[name=view]:checked");
    gallery.classList.toggle("wiped", view === "wipe");
    range.hidden = view !== "wipe";
    $("#picks").hidden = view !== "wipe" || !$("#picks").children.length;
  };
  const wipe = () => {
    gallery.style.setProperty("--wipe", range.value / 100);
    range.setAttribute("aria-valuetext", `${range.value} % source, ${100 - range.value} % edit`);
  };
  // Two pictures beside each other are too small to see anything on a phone.
  if (matchMedia("(max-width: 640px)").matches) $("input[name=view][value=wipe]").checked = true;
  for (const each of document.querySelectorAll("input[name=view]")) each.addEventListener("change", show);
  new MutationObserver(show).observe($("#picks"), { childList: true });
  range.addEventListener("input", wipe);
  $("#mask").addEventListener("change", (event) => gallery.classList.toggle("masked", event.target.checked));
  show();
  wipe();
}
