// The request as code: exactly what Run sends. A key is never written out, only the variable that holds it.

import { ROOT } from "./api.js";
import { bodyOf } from "./draft.js";
import { $, h } from "./dom.js";
import { key } from "./key.js";
import { notice, say } from "./problems.js";

const LANGUAGES = { curl: ["curl", curl], python: ["Python", python], typescript: ["TypeScript", typescript] };
let language = "curl";

export const snippet = () => LANGUAGES[language][1](bodyOf(), location.origin + ROOT);

export function setUpSnippet() {
  $("#languages").append(...Object.entries(LANGUAGES).map(([name, [said]]) =>
    h("label", {}, h("input", { type: "radio", name: "language", value: name, checked: name === language,
      onchange: () => {
        language = name;
        show();
      } }), h("span", {}, said))));
  $("#copy").addEventListener("click", copy);
  for (const event of ["draft", "aligned", "key"]) document.addEventListener(event, show);
  show();
}

function show() {
  const text = snippet();
  const code = $("#snippet code");
  if (code.textContent !== text) code.textContent = text;
}

async function copy() {
  try {
    await navigator.clipboard.writeText(snippet());
    $("#copy").textContent = "Copied";
    say(`Copied as ${LANGUAGES[language][0]}.`);
    setTimeout(() => ($("#copy").textContent = "Copy"), 1600);
  } catch {
    // No clipboard for pages that are served over plain http from elsewhere: marked, a key press away.
    getSelection().selectAllChildren($("#snippet code"));
    notice("This browser lets the page copy nothing: the code is selected, copy it yourself.");
  }
}

function curl(body, origin) {
  const json = written(body, JSON_WAY).replaceAll("'", `'\\''`);
  const lines = [`curl -s ${origin}/v1/edits`, "-H 'Content-Type: application/json'"];
  if (key()) lines.push('-H "Authorization: Bearer $P2P_API_KEY"');
  return `${lines.join(" \\\n  ")} \\\n  -d '${json}'`;
}

function python(body, origin) {
  return `import os

from p2p_client import Client

with Client("${origin}", key=os.environ.get("P2P_API_KEY")) as client:
    job = client.wait(client.submit(${written(body, PYTHON, 1)}))
    client.download(job, "out")`;
}

function typescript(body, origin) {
  const json = written(body, JSON_WAY);
  return `import { Client } from "p2p-client";

const client = new Client("${origin}", { key: process.env.P2P_API_KEY });
const job = await client.wait(await client.submit(${json}));
await client.download(job, "out");`;
}

/** How a language writes the three words of JSON, how far it indents, and whether a last item has a comma. */
const JSON_WAY = { words: { true: "true", false: "false", null: "null" }, indent: 2, comma: "" };
const PYTHON = { words: { true: "True", false: "False", null: "None" }, indent: 4, comma: "," };
const WIDTH = 88;

/** A value as source text: what fits into a line stands in one. */
function written(value, way, depth = 0, before = 0) {
  if (value === null || typeof value === "boolean") return way.words[value];
  if (typeof value !== "object") return JSON.stringify(value);
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  const name = (key) => (Array.isArray(value) ? "" : `${JSON.stringify(key)}: `);
  const entries = Object.entries(value);
  const short = `${open}${entries.map(([key, each]) => name(key) + written(each, way, Infinity)).join(", ")}${close}`;
  if (depth === Infinity || way.indent * depth + before + short.length <= WIDTH) return short;
  const inside = " ".repeat(way.indent * (depth + 1));
  const lines = entries.map(([key, each]) => inside + name(key) + written(each, way, depth + 1, name(key).length));
  return `${open}\n${lines.join(",\n")}${way.comma}\n${" ".repeat(way.indent * depth)}${close}`;
}
