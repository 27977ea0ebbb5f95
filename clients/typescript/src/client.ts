import createClient, { type Client as Api } from "openapi-fetch";

import { BadAnswer, JobFailed, NotEnded, Refused } from "./errors.js";
import { type Event, read } from "./events.js";
import { backoff, paused, retrying } from "./retrying.js";
import type { components, paths } from "./schema.js";

type Schemas = components["schemas"];
export type EditRequest = Schemas["EditRequest"];
export type Accepted = Schemas["EditAccepted"];
export type Edit = Schemas["EditView"];
export type Artifact = Schemas["ArtifactView"];
export type Image = Schemas["ImageView"];
type Kind = Artifact["kind"];
/** An edit, or its id. */
export type AnEdit = string | { id: string };

export interface Options {
  /** An API key, where the service wants one. It is sent to `baseUrl` alone. */
  key?: string;
  /** Seconds that an answer may take to begin. */
  timeout?: number;
  /** Seconds that a call goes on being sent again while the service is busy or cannot be reached. */
  patience?: number;
  /** What sends, in place of the global one. */
  fetch?: typeof fetch;
}

/** What ends a call before its time. */
interface Following {
  signal?: AbortSignal;
}

/** Seconds that one request waits for an end: the service allows 60, and proxies often cut at 60. */
const LONG_POLL = 30;
const ENDS: readonly string[] = ["succeeded", "failed", "canceled", "expired"];

/** The service. Every call throws a `ClientError` where it does not give what it says. */
export class Client {
  /** Every address of openapi.yaml, typed, with this client's key and patience. */
  readonly api: Api<paths>;
  readonly #fetch: typeof fetch;
  readonly #baseUrl: string;

  constructor(baseUrl = "http://127.0.0.1:8000", options: Options = {}) {
    const { key, timeout = 30, patience = 60, fetch = globalThis.fetch } = options;
    this.#baseUrl = baseUrl.replace(/\/$/, "");
    // Without the key: artifacts' addresses are signed, and may be another host's.
    this.#fetch = retrying(fetch, { timeout, patience });
    const headers = key === undefined ? {} : { Authorization: `Bearer ${key}` };
    this.api = createClient<paths>({ baseUrl: this.#baseUrl, fetch: this.#fetch, headers });
  }

  /** Asks for an edit, under an id of your own where one is given. However often it has to be sent, it is made once. */
  async submit(edit: EditRequest, options: { id?: string; idempotencyKey?: string } = {}): Promise<Accepted> {
    const { id, idempotencyKey = crypto.randomUUID() } = options;
    if (id !== undefined) {
      return said(await this.api.PUT("/v1/edits/{edit_id}", { params: { path: { edit_id: id } }, body: edit }));
    }
    const params = { header: { "idempotency-key": idempotencyKey } };
    return said(await this.api.POST("/v1/edits", { params, body: edit }));
  }

  /** An edit as it stands. */
  async get(edit: AnEdit, { wait = 0, signal }: Following & { wait?: number } = {}): Promise<Edit> {
    const params = { path: { edit_id: idOf(edit) }, query: { wait } };
    return said(await this.api.GET("/v1/edits/{edit_id}", { params, ...(signal && { signal }) }));
  }

  /**
   * Waits until an edit has succeeded; the service answers once it has ended, nothing is polled.
   * Throws `JobFailed` where it ends otherwise, and `NotEnded` where it goes on after `timeout` seconds.
   */
  async wait(edit: AnEdit, { timeout = Infinity, signal }: Following & { timeout?: number } = {}): Promise<Edit> {
    const until = Date.now() + timeout * 1000;
    for (;;) {
      const asked = Date.now();
      const seconds = Math.ceil(Math.min(LONG_POLL, Math.max(0, (until - asked) / 1000)));
      const standing = await this.get(edit, { wait: seconds, ...(signal && { signal }) });
      if (standing.status === "succeeded") return standing;
      if (ENDS.includes(standing.status)) throw new JobFailed(standing);
      if (Date.now() >= until) throw new NotEnded(standing);
      // It did not wait, whatever is in between: to ask again at once would be a busy loop.
      if (Date.now() - asked < seconds * 500) await paused(1000, signal);
    }
  }

  /**
   * What happens to an edit, from its first event to its end, or after the event `after`. Where the connection is lost
   * it goes on after the last event that came: none is missed, none comes twice.
   */
  async *events(edit: AnEdit, { after = "", signal }: Following & { after?: string } = {}): AsyncGenerator<Event> {
    let inVain = 0;
    for (;;) {
      const params = { path: { edit_id: idOf(edit) }, header: { "last-event-id": after } };
      const how = { params, parseAs: "stream" as const, ...(signal && { signal }) };
      const { response } = await this.api.GET("/v1/edits/{edit_id}/events", how);
      let came = false;
      try {
        for await (const event of read(response.body!)) {
          [after, came] = [event.id, true];
          yield event;
          if (ENDS.includes(event.name)) return;
        }
      } catch (error) {
        // It is taken up again where it broke off.
        if (signal?.aborted) throw error;
      }
      if (!came && ENDS.includes((await this.get(edit)).status)) return; // `after` was its end
      inVain = came ? 0 : inVain + 1;
      await paused(backoff(inVain), signal);
    }
  }

  /** Cancels an edit: a waiting one at once, a running one before its next step. */
  async cancel(edit: AnEdit): Promise<Edit> {
    return said(await this.api.POST("/v1/edits/{edit_id}/cancel", { params: { path: { edit_id: idOf(edit) } } }));
  }

  /** Sends a photo, by its path or as its bytes; its `id` goes into an edit's `source.image.upload`. */
  async upload(picture: string | Uint8Array<ArrayBuffer> | Blob, name = "picture"): Promise<Image> {
    if (typeof picture === "string") {
      const [{ readFile }, { basename }] = await Promise.all([import("node:fs/promises"), import("node:path")]);
      [picture, name] = [new Uint8Array(await readFile(picture)), basename(picture)];
    }
    const form = new FormData();
    form.append("image", picture instanceof Blob ? picture : new Blob([picture]), name);
    // The schema says "a string" of what is a file, and the form goes as it is.
    return said(await this.api.POST("/v1/images", { body: form as never, bodySerializer: (body) => body }));
  }

  /** Fetches an edit's artifacts, of `kinds` or all, into a folder under their names, and gives their paths (Node). */
  async download(edit: AnEdit, folder: string, { kinds }: { kinds?: readonly Kind[] } = {}): Promise<string[]> {
    const { mkdir, rename, writeFile } = await import("node:fs/promises");
    const { dirname, relative, resolve, isAbsolute } = await import("node:path");
    let shown = await this.#succeeded(edit);
    const wanted = shown.artifacts.filter(({ kind }) => kinds === undefined || kinds.includes(kind));
    const written: string[] = [];
    for (const { name } of wanted) {
      const path = resolve(folder, name);
      const inside = relative(resolve(folder), path);
      if (inside.startsWith("..") || isAbsolute(inside)) throw new BadAnswer(`an artifact calls itself ${name}`);
      let content: Uint8Array;
      try {
        content = await this.#content(shown, name);
      } catch (error) {
        if (!(error instanceof Refused) || error.status === 404) throw error;
        // Its address is over: the edit, fetched again, has a new one.
        shown = await this.#succeeded(edit);
        content = await this.#content(shown, name);
      }
      await mkdir(dirname(path), { recursive: true });
      // Under its name there is never half a file.
      await writeFile(`${path}.part`, content);
      await rename(`${path}.part`, path);
      written.push(path);
    }
    return written;
  }

  async #succeeded(edit: AnEdit): Promise<Edit> {
    const shown = await this.get(edit);
    if (shown.status === "succeeded") return shown;
    throw ENDS.includes(shown.status) ? new JobFailed(shown) : new NotEnded(shown);
  }

  async #content(edit: Edit, name: string): Promise<Uint8Array> {
    const artifact = edit.artifacts.find((each) => each.name === name);
    if (artifact === undefined) throw new BadAnswer(`${name} is among the edit's artifacts no more`);
    const response = await this.#fetch(new URL(artifact.url, `${this.#baseUrl}/`), { redirect: "follow" });
    const content = new Uint8Array(await response.arrayBuffer());
    if (content.length !== artifact.bytes) {
      throw new BadAnswer(`${name} came with ${content.length} bytes and has ${artifact.bytes}`);
    }
    return content;
  }
}

function idOf(edit: AnEdit): string {
  return typeof edit === "string" ? edit : edit.id;
}

/** What an answer says; answers that are no success were thrown before (`retrying`). */
function said<T>({ data, response }: { data?: T; response: Response }): T {
  if (data === undefined) throw new BadAnswer(`${response.url} answered ${response.status} and nothing`);
  return data;
}
