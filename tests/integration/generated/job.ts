// Asks for one edit and waits for its end, with nothing but what the generator made of openapi.yaml.
import { client } from "./client/client.gen.js";
import { fetchEdit, sendImage, submitEdit } from "./client/index.js";

client.setConfig({ baseUrl: process.argv[2]! });

const asked = await submitEdit({
  body: {
    model: "tiny",
    source: { prompt: "a cat on the beach" },
    targets: [{ prompt: "a dog on the beach", edits: [{ kind: "replace" }] }],
    sampling: { steps: 2, seed: 7 },
  },
  throwOnError: true,
});
const id = asked.data.id;
let edit = (await fetchEdit({ path: { edit_id: id }, throwOnError: true })).data;
while (edit.status === "queued" || edit.status === "running") {
  edit = (await fetchEdit({ path: { edit_id: id }, query: { wait: 20 }, throwOnError: true })).data;
}
const names = edit.artifacts.filter((each) => each.kind === "image").map((each) => each.name);

const refused = await submitEdit({ body: { source: { prompt: "a cat" }, targets: [], model: "none" } });
const code: string | undefined = refused.error?.errors?.[0]?.code;

const file = new Blob([new Uint8Array(Buffer.from(process.argv[3]!, "base64"))]);
const sent = await sendImage({ body: { image: file }, throwOnError: true });

console.log(JSON.stringify({ status: edit.status, names, code, width: sent.data.width }));
