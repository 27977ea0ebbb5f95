// The API key: in this module and nowhere else, never in an address or a snippet. What a browser stores for a page,
// every other page of the same host can read: another application behind the same proxy is one.

import { $ } from "./dom.js";

let used = null;
let waiting = [];

export const key = () => used;

/** Asks for a key and resolves once another one was given; `why` says what was wrong with the one before. */
export function askForKey(why) {
  const dialog = $("#key-dialog");
  const error = $("#key-error");
  error.textContent = why;
  error.hidden = !why;
  $("#key-value").toggleAttribute("aria-invalid", Boolean(why));
  $("#key-value").value = "";
  if (!dialog.open) dialog.showModal();
  return new Promise((resolve, reject) => waiting.push({ resolve, reject }));
}

export function setUpKey() {
  const dialog = $("#key-dialog");
  $("#key-open").addEventListener("click", () => {
    askForKey("").catch(() => {});
  });
  $("#key-close").addEventListener("click", () => dialog.close());
  $("#key-forget").addEventListener("click", () => {
    used = null;
    show();
    dialog.close();
  });
  $("#key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const value = $("#key-value").value.trim();
    if (!value) return;
    used = value;
    show();
    for (const each of waiting.splice(0)) each.resolve();
    dialog.close();
    document.dispatchEvent(new Event("key"));
  });
  dialog.addEventListener("close", () => {
    $("#key-value").value = "";
    for (const each of waiting.splice(0)) each.reject(new DOMException("no key was given", "AbortError"));
  });
  show();
}

function show() {
  $("#key-open").textContent = key() ? "API key in use" : "API key";
  $("#key-forget").hidden = !key();
}
