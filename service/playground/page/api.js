// The API over fetch: the key in its header, problem documents (RFC 9457) as errors.

import { askForKey, key } from "./key.js";

/** What stands before every address: the page may be served under a path of its own. Links in answers have it already. */
export const ROOT = new URL("..", import.meta.url).pathname.replace(/\/$/, "");

/** What the API refused, or what kept an answer from coming (`status` 0). */
export class Problem extends Error {
  constructor(status, document = {}, retryAfter = null) {
    super(document.detail ?? "The service cannot be reached: is it running, and are you online?");
    this.status = status;
    this.code = document.code ?? "unreachable";
    this.errors = document.errors ?? [];
    this.retryAfter = retryAfter;
  }

  /** Whether the same request may go through later. */
  get passes() {
    return this.status === 0 || this.status === 429 || this.status === 503;
  }
}

/**
 * A response that went well; asks for a key where one is needed, and sends the request again with it. What nobody asked
 * for in so many words is `quiet`: it opens no dialog while one types.
 */
export async function request(path, { headers = {}, quiet = false, ...options } = {}) {
  for (;;) {
    const used = key();
    let response;
    try {
      response = await fetch(path, {
        ...options,
        headers: { ...headers, ...(used ? { Authorization: `Bearer ${used}` } : {}) },
        credentials: "omit",
      });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Problem(0);
    }
    if (response.ok) return response;
    if (response.status === 401 && !quiet) {
      if (key() === used) await askForKey(used ? "This installation does not know that key." : "");
      continue;
    }
    const document = await response.json().catch(() => ({}));
    const after = Number(response.headers.get("Retry-After"));
    throw new Problem(response.status, document, Number.isFinite(after) && after > 0 ? after : null);
  }
}

export const get = async (path, options) => (await request(path, options)).json();

export async function post(path, body, { headers = {}, ...options } = {}) {
  const sent = body === undefined ? {} : { body: JSON.stringify(body) };
  const typed = body === undefined ? headers : { "Content-Type": "application/json", ...headers };
  return (await request(path, { method: "POST", headers: typed, ...sent, ...options })).json();
}

export async function upload(file, options) {
  const form = new FormData();
  form.append("image", file);
  return (await request(`${ROOT}/v1/images`, { method: "POST", body: form, ...options })).json();
}
