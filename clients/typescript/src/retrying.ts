/** A `fetch` that sends again where that is safe and may help; what it gives is a success, what it throws an error. */
import { type ClientError, TooBusy, Unreachable, errorOf } from "./errors.js";

export interface Patience {
  /** Seconds that a call goes on being sent again. */
  patience: number;
  /** Seconds that an answer may take to begin. */
  timeout: number;
}

/** Milliseconds: the first pause at most, how far it grows, and the least, so that no answer makes a busy loop. */
const FIRST = 500;
const LONGEST = 8_000;
const LEAST = 100;

/** Of a proxy that does not know what became of the request. */
const LOST = [502, 504];

/** Nothing has left this machine, so that nothing can have been done twice. */
const NOT_SENT = ["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "UND_ERR_CONNECT_TIMEOUT"];

export function retrying(send: typeof fetch, { patience, timeout }: Patience): typeof fetch {
  return async (input, init) => {
    const request = new Request(input, { redirect: "manual", ...init });
    const until = Date.now() + patience * 1000;
    // A request is sent again under the same key, so that whatever it makes is made once.
    const repeatable =
      ["GET", "PUT"].includes(request.method) ||
      request.headers.has("idempotency-key") ||
      /\/(cancel|alignments)$/.test(new URL(request.url).pathname);
    for (let attempt = 0; ; attempt++) {
      let failure: ClientError;
      let passes: boolean;
      try {
        const response = await answered(send, request.clone(), timeout + waitOf(request));
        if (response.ok) return response;
        failure = await errorOf(response);
        passes = failure instanceof TooBusy || (repeatable && LOST.includes(response.status));
      } catch (error) {
        if (request.signal.aborted) throw error;
        failure = new Unreachable(`no answer from ${request.url.split("?")[0]}: ${reason(error)}`, { cause: error });
        passes = repeatable || NOT_SENT.includes(codeOf(error));
      }
      const asked = failure instanceof TooBusy ? failure.retryAfter : undefined;
      const pause = Math.max(LEAST, asked === undefined ? backoff(attempt) : asked * 1000);
      if (!passes || Date.now() + pause > until) throw failure;
      await paused(pause, request.signal);
    }
  };
}

/** Milliseconds before an attempt where nobody says when: at random up to a bound that doubles. */
export function backoff(attempt: number): number {
  return Math.max(LEAST, Math.random() * Math.min(LONGEST, FIRST * 2 ** attempt));
}

/** Nothing, for so many milliseconds; throws the signal's reason where that comes first. */
export async function paused(milliseconds: number, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(done, milliseconds);
    const aborted = () => (clearTimeout(timer), reject(signal?.reason));
    function done() {
      signal?.removeEventListener("abort", aborted);
      resolve();
    }
    signal?.addEventListener("abort", aborted, { once: true });
  });
}

/** The head of an answer in time; its body may take as long as it likes, for a stream of events does. */
async function answered(send: typeof fetch, request: Request, seconds: number): Promise<Response> {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(new Error(`nothing came for ${seconds} s`)), seconds * 1000);
  try {
    return await send(request, { signal: AbortSignal.any([request.signal, late.signal]) });
  } finally {
    clearTimeout(timer);
  }
}

/** The seconds that a request itself asks the service to wait. */
function waitOf(request: Request): number {
  return Number(new URL(request.url).searchParams.get("wait") ?? 0);
}

/** What lies behind an error: Node's fetch says "fetch failed", and why in its cause. */
function causeOf(error: unknown): Partial<NodeJS.ErrnoException> {
  return error instanceof Error ? (error.cause instanceof Error ? error.cause : error) : { message: String(error) };
}

function codeOf(error: unknown): string {
  return causeOf(error).code ?? "";
}

function reason(error: unknown): string {
  return causeOf(error).message || codeOf(error);
}
