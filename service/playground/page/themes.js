// Light, dark, or as the system says; `theme.js` puts it on before the first paint.

import { $ } from "./dom.js";

const THEMES = ["", "light", "dark"];
const SAID = { "": "Colours: as the system says", light: "Colours: light", dark: "Colours: dark" };

export function setUpTheme() {
  const button = $("#theme");
  const root = document.documentElement;
  const show = () => {
    const said = SAID[root.dataset.theme ?? ""];
    button.setAttribute("aria-label", said);
    button.title = said;
  };
  button.addEventListener("click", () => {
    const next = THEMES[(THEMES.indexOf(root.dataset.theme ?? "") + 1) % THEMES.length];
    if (next) [root.dataset.theme, localStorage.theme] = [next, next];
    else {
      delete root.dataset.theme;
      localStorage.removeItem("theme");
    }
    show();
  });
  show();
}
