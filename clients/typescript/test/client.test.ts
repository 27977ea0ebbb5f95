/** What a service that answers as a test says makes of the client's calls. */
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { mkdtemp, readFile, readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { BadAnswer, Client, JobFailed, NotEnded, Refused, TooBusy, Unreachable } from "../dist/index.js";
import { NotVerified, verify } from "../dist/webhooks.js";

const JOB = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
const URL_ = "http://service.test";
const SPEC = { source: { prompt: "a cat" }, targets: [{ prompt: "a dog", edits: [{ kind: "replace" as const }] }] };
const LOST = () => {
  throw new TypeError("fetch failed", { cause: new Error("other side closed") });
};

type Answer = Response | (() => Response);

/** A client of a service that gives its answers in turn, the last one for ever, and what it was asked. */
function answering(...answers: Answer[]): { client: Client; asked: Request[] } {
  const asked: Request[] = [];
  const send = async (input: RequestInfo | URL): Promise<Response> => {
    asked.push(input as Request);
    const answer = (answers.length > 1 ? answers.shift() : answers[0])!;
    return typeof answer === "function" ? answer() : answer.clone();
  };
  return { client: new Client(`${URL_}/`, { key: "p2p_secret", patience: 5, fetch: send }), asked };
}

const edit = (status: string, fields: object = {}) =>
  Response.json({ id: JOB, status, artifacts: [], error: null, ...fields }, { status: status === "queued" ? 202 : 200 });

const problem = (status: number, code: string, headers: Record<string, string> = {}) =>
  new Response(JSON.stringify({ status, code, detail: `why it is ${code}` }), {
    status,
    headers: { "Content-Type": "application/problem+json", ...headers },
  });

const artifact = (name: string, content: string, url: string) => ({ name, kind: "image", bytes: content.length, url });

const sent = (number: number, name: string, data: object = {}) =>
  `id: ${number}-0\nevent: ${name}\ndata: ${JSON.stringify(data)}\n\n`;

/** A body that comes in pieces, and may break off. */
function stream(pieces: string[], { lost = false } = {}): Response {
  const body = new ReadableStream({
    pull(controller) {
      const piece = pieces.shift();
      if (piece !== undefined) controller.enqueue(new TextEncoder().encode(piece));
      else if (lost) controller.error(new Error("terminated"));
      else controller.close();
    },
  });
  return new Response(body, { headers: { "Content-Type": "text/event-stream" } });
}

async function all<T>(values: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const value of values) found.push(value);
  return found;
}

test("a lost connection makes no second edit", async () => {
  const { client, asked } = answering(LOST, problem(503, "queue_full", { "Retry-After": "0" }), edit("queued"));

  assert.equal((await client.submit(SPEC)).id, JOB);

  const names = asked.map((request) => request.headers.get("idempotency-key"));
  assert.equal(names.length, 3);
  assert.equal(new Set(names).size, 1);
  assert.ok(names[0]);
  assert.deepEqual(await asked[2]!.json(), SPEC);
});

test("each call has a name of its own, or the one it is given, or an id", async () => {
  const { client, asked } = answering(edit("queued"));

  for (const options of [{}, {}, { idempotencyKey: "order-17" }, { id: "order-17" }]) await client.submit(SPEC, options);

  const names = asked.map((request) => request.headers.get("idempotency-key"));
  assert.notEqual(names[0], names[1]);
  assert.deepEqual(names.slice(2), ["order-17", null]);
  assert.equal(`${asked[3]!.method} ${asked[3]!.url}`, `PUT ${URL_}/v1/edits/order-17`);
});

test("what is busy for longer than one is patient is not waited for", async () => {
  const { client, asked } = answering(problem(429, "rate_limited", { "Retry-After": "3600" }));

  await assert.rejects(client.submit(SPEC), (error: TooBusy) => error instanceof TooBusy && error.retryAfter === 3600);
  assert.equal(asked.length, 1);
});

test("a refusal is told at once", async () => {
  const { client, asked } = answering(problem(422, "invalid_request"));

  await assert.rejects(client.submit(SPEC), (error: Refused) => error instanceof Refused && error.code === "invalid_request");
  assert.equal(asked.length, 1);
});

test("what cannot be sent twice is not", async () => {
  const { client, asked } = answering(LOST);

  await assert.rejects(client.upload(new Uint8Array([1])), Unreachable);
  assert.equal(asked.length, 1);
});

test("a redirect is told and not followed", async () => {
  const { client, asked } = answering(new Response(null, { status: 301, headers: { Location: "https://elsewhere.test/" } }));

  await assert.rejects(client.get(JOB), (error) => error instanceof BadAnswer && /leads to https:\/\/elsewhere/.test(error.message));
  assert.equal(asked[0]!.redirect, "manual");
});

test("an edit is waited for until it has succeeded, and no other end is a success", async () => {
  const { client, asked } = answering(edit("running"), edit("succeeded"));
  assert.equal((await client.wait(JOB)).status, "succeeded");
  assert.ok(asked.every((request) => request.url.endsWith("wait=30")));

  const failed = answering(edit("failed", { error: { code: "moderated", message: "no knives here" } }));
  await assert.rejects(failed.client.wait(JOB), (error: JobFailed) => error instanceof JobFailed && error.code === "moderated");
  await assert.rejects(answering(edit("running")).client.wait(JOB, { timeout: 0 }), NotEnded);
});

test("after a lost connection events go on where it broke off", async () => {
  const { client, asked } = answering(
    stream([sent(1, "queued"), sent(2, "started").slice(0, 9), sent(2, "started").slice(9), "id: 3-0\nevent: pro"], { lost: true }),
    LOST,
    stream([": ping\n\n", sent(3, "progress", { step: 1, steps: 2 }).replaceAll("\n", "\r\n"), sent(4, "succeeded")]),
  );

  const events = await all(client.events(JOB));

  assert.deepEqual(events.map(({ name }) => name), ["queued", "started", "progress", "succeeded"]);
  assert.deepEqual(events[2], { id: "3-0", name: "progress", step: 1, steps: 2 });
  assert.deepEqual(asked.map((request) => request.headers.get("last-event-id")), ["", "2-0", "2-0"]);
});

test("whoever has seen the end is told nothing more", async () => {
  const { client } = answering(stream([": ping\n\n"]), edit("succeeded"));

  assert.deepEqual(await all(client.events(JOB, { after: "9-0" })), []);
});

test("artifacts are files, the key stays at home, and an address that is over is asked for anew", async () => {
  const folder = await mkdtemp(join(tmpdir(), "p2p-"));
  const [over, fresh] = [1, 2].map((n) => ({ artifacts: [artifact("seed-1/a.png", "picture", `https://bucket.test/${n}`)] }));
  const { client, asked } = answering(
    edit("succeeded", over),
    new Response("<Error/>", { status: 403 }),
    edit("succeeded", fresh),
    new Response("picture"),
  );

  const [path] = await client.download(JOB, folder);

  assert.equal(path, join(folder, "seed-1", "a.png"));
  assert.equal(await readFile(path!, "utf8"), "picture");
  const keys = asked.map((request) => [new URL(request.url).pathname, request.headers.get("authorization")]);
  const own = [`/v1/edits/${JOB}`, "Bearer p2p_secret"];
  assert.deepEqual(keys, [own, ["/1", null], own, ["/2", null]]);
});

test("a service may lie below a path", async () => {
  const asked: string[] = [];
  const send = async (input: RequestInfo | URL): Promise<Response> => {
    asked.push((input as Request).url ?? String(input));
    return edit("succeeded");
  };
  const client = new Client("https://example.com/edits-api/", { fetch: send });

  await client.submit(SPEC);
  await client.wait(JOB);

  assert.equal(asked[0], "https://example.com/edits-api/v1/edits");
  assert.ok(asked.every((url) => url.startsWith("https://example.com/edits-api/v1/edits")));
});

test("no name leads out of the folder, and half an artifact is no file", async () => {
  const folder = await mkdtemp(join(tmpdir(), "p2p-"));
  for (const [name, content] of [["../a.png", "whole"], ["/a.png", "whole"], ["a.png", "who"]] as const) {
    const shown = edit("succeeded", { artifacts: [artifact(name, "whole", "https://bucket.test/")] });
    await assert.rejects(answering(shown, new Response(content)).client.download(JOB, folder), BadAnswer);
  }
  assert.deepEqual(await readdir(folder), []);
});

test("a webhook is believed only as it was signed", () => {
  const [key, body] = [Buffer.alloc(32, 7), '{"type":"edit.succeeded","data":{"id":"0f1e"}}'];
  const secret = `whsec_${key.toString("base64")}`;
  const second = Math.floor(Date.now() / 1000);
  const signature = createHmac("sha256", key).update(`id.${second}.${body}`).digest("base64");
  const headers = { "Webhook-Id": "id", "webhook-timestamp": `${second}`, "webhook-signature": `v1,rubbish v1,${signature}` };

  assert.equal(verify(headers, Buffer.from(body), secret).data.id, "0f1e");
  assert.equal(verify(new Headers(headers), body, secret).type, "edit.succeeded");
  assert.throws(() => verify(headers, body.replace("0f1e", "0f1f"), secret), NotVerified);
  assert.throws(() => verify(headers, new Uint8Array([255]), secret), NotVerified);
  assert.throws(() => verify({ ...headers, "webhook-timestamp": `${second - 3600}` }, body, secret), NotVerified);
  assert.throws(() => verify({ ...headers, "webhook-signature": "rubbish" }, body, secret), NotVerified);
  assert.throws(() => verify({}, "", secret), NotVerified);
});
