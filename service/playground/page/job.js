// One edit from its body to its end: sent, followed by its events, canceled.

import { get, post, Problem, request, ROOT } from "./api.js";
import { eventsOf } from "./events.js";

const ENDS = new Set(["succeeded", "failed", "canceled", "expired"]);
/** Seconds: between two looks at the place in the queue, and the longest wait before a lost stream is asked for again. */
const LOOK = 1.5;
const LONGEST = 15;

/**
 * Sends an edit and gives its acceptance. What is refused for a while is sent again when the answer says, under one
 * idempotency key: it stays one edit, also where an answer was lost.
 */
export async function submit(body, { onWait, signal }) {
  const headers = { "Idempotency-Key": random() };
  for (let turn = 0; ; turn += 1) {
    try {
      return await post(`${ROOT}/v1/edits`, body, { headers, signal });
    } catch (error) {
      if (!(error instanceof Problem) || !error.passes || (error.status === 0 && turn >= 3)) throw error;
      await waited(error.retryAfter ?? 2 ** turn, signal, (left) => onWait(error, left));
    }
  }
}

/** Follows an edit to its end and gives it then; `on` has a function for each event, and `place` and `lost`. */
export async function follow(edit, { on, signal }) {
  let last = "";
  let queued = edit.status === "queued";
  look(edit, { on, signal, isQueued: () => queued });
  try {
    for (let lost = 0; ; lost += 1) {
      try {
        const headers = last ? { "Last-Event-ID": last } : {};
        const response = await request(edit.links.events, { headers, signal });
        for await (const { id, event, data } of eventsOf(response)) {
          lost = 0;
          last = id;
          queued = event === "queued" || event === "retrying";
          on[event]?.(data);
          if (ENDS.has(event)) return await get(edit.links.self, { signal });
        }
        // Closed by time, or with the edit itself.
        const view = await get(edit.links.self, { signal });
        if (ENDS.has(view.status)) return view;
      } catch (error) {
        if (error.name === "AbortError" || (error instanceof Problem && !error.passes)) throw error;
        const seconds = (error instanceof Problem && error.retryAfter) || Math.min(LONGEST, 2 ** lost);
        await waited(seconds, signal, (left) => on.lost(left));
      }
    }
  } finally {
    queued = false;
  }
}

async function look(edit, { on, signal, isQueued }) {
  while (isQueued() && !signal.aborted) {
    await pause(LOOK, signal).catch(() => {});
    if (!isQueued() || signal.aborted) return;
    const view = await get(edit.links.self, { signal }).catch(() => null); // the stream says what is wrong
    if (view?.queue && isQueued()) on.place(view.queue);
  }
}

export const cancel = (edit) => post(edit.links.cancel);

/** A random name; `crypto.randomUUID` is missing where a page is not served over https or from this machine. */
function random() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function waited(seconds, signal, tell) {
  for (let left = Math.ceil(seconds); left > 0; left -= 1) {
    tell(left);
    await pause(1, signal);
  }
}

function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new DOMException("given up", "AbortError"));
    });
  });
}
