// Elements, built without ever reading markup from a string: what a prompt holds is text, whatever it looks like.

export const $ = (selector, within = document) => within.querySelector(selector);

/** An element with attributes, listeners (`onclick`) and children; null and false children are left out. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && typeof value !== "string") element[name] = value;
    else if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== false));
  return element;
}

/** A drawing of one path on a 24 by 24 field; says nothing to a screen reader. */
export function icon(path) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
  line.setAttribute("d", path);
  svg.append(line);
  return svg;
}

export const ICONS = {
  cross: "M6 6l12 12M18 6L6 18",
  plus: "M12 5v14M5 12h14",
  picture: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4",
  dice: "M5 5h14v14H5zM9 9h.01M15 15h.01M15 9h.01M9 15h.01",
  region: "M9 4h6M20 9v6M15 20H9M4 15V9M4 5V4h1M19 4h1v1M20 19v1h-1M5 20H4v-1",
  save: "M12 4v11M7 11l5 5 5-5M5 20h14",
};

let next = 0;
/** An id that no other element has. */
export const fresh = (name) => `${name}-${(next += 1)}`;
