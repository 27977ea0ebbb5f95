/** Server-sent events (WHATWG HTML, 9.2.6), read from bytes as they arrive. */
import type { components } from "./schema.js";

/** Something that happened to an edit (docs/events.md). */
export interface Event {
  /** Where it stands among the edit's events. */
  id: string;
  /** "queued", "started", "progress", "preview", "retrying", or the status that the edit ended in. */
  name: string;
  /** The one that it is in from here on, where that changed. */
  status?: components["schemas"]["JobStatus"];
  /** How many are done, of `steps`. */
  step?: number;
  steps?: number;
  /** Of a preview. */
  url?: string;
}

/** Milliseconds: the service sends a comment every 15 s, so that a stream which says nothing for longer is dead. */
const SILENCE = 45_000;

export async function* read(body: ReadableStream<Uint8Array>): AsyncGenerator<Event> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  let fields: Record<string, string> = {};
  try {
    for (;;) {
      const { done, value } = await inTime(reader.read());
      if (done) return;
      const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines.map((each) => each.replace(/\r$/, ""))) {
        if (line) {
          const at = line.indexOf(":");
          const name = at < 0 ? line : line.slice(0, at);
          const text = at < 0 ? "" : line.slice(at + 1).replace(/^ /, "");
          // Several lines of data are one text; a line without a name is a comment.
          fields[name] = name === "data" && "data" in fields ? `${fields[name]}\n${text}` : text;
        } else if (fields["data"] !== undefined) {
          yield { ...JSON.parse(fields["data"]), id: fields["id"] ?? "", name: fields["event"] ?? "" };
          fields = {};
        } else {
          fields = {};
        }
      }
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

async function inTime<T>(promise: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("the stream of events is silent")), SILENCE);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
