/** A program of somebody's, against the real service: prints what it was told and what it fetched. */
import { Client, Refused } from "p2p-client";

const [url, folder, photo] = process.argv.slice(2) as [string, string, string];
const client = new Client(url);
const targets = [{ prompt: "a dog on the beach", edits: [{ kind: "replace" as const }] }];
const request = { model: "tiny", source: { prompt: "a cat on the beach" }, targets, sampling: { steps: 3, seed: 5 } };

const edit = await client.submit(request);
const events: string[] = [];
for await (const event of client.events(edit)) events.push(event.name);
const done = await client.wait(edit);
const files = await client.download(done, folder, { kinds: ["image"] });

const again = [await client.submit(request, { id: "typed" }), await client.submit(request, { id: "typed" })];
const canceled = await client.cancel(await client.submit({ ...request, model: "tiny-third" }));
const image = await client.upload(photo);
const refused = await client.submit({ ...request, model: "nobodys" }).catch((error: unknown) => error);
const { data } = await client.api.GET("/v1/models");

console.log(
  JSON.stringify({
    events,
    status: done.status,
    files,
    same: again[0]!.id === again[1]!.id,
    canceled: canceled.status,
    width: image.width,
    refused: refused instanceof Refused && refused.errors.map((each) => each.pointer),
    models: data!.models.map((model) => model.id),
  }),
);
