/** Webhooks, verified: that a message is the service's, is whole, and is no older than five minutes. */
import { Webhook } from "standardwebhooks";

import { ClientError } from "./errors.js";
import type { components } from "./schema.js";

/** A webhook's message; `type` tells an edit's end from a batch's. */
export type Message = components["schemas"]["EditEnded"] | components["schemas"]["BatchEnded"];

/** What came is not a message of the service's: answer 401. */
export class NotVerified extends ClientError {}

/**
 * The message that came, once its signature is found to be good.
 *
 * @param headers of the request: Node's, or `Headers`.
 * @param body its bytes as they came, never JSON that was written anew.
 * @param secret `whsec_...`
 */
export function verify(
  headers: Headers | Record<string, string | string[] | undefined>,
  body: Uint8Array | string,
  secret: string,
): Message {
  const webhook = new Webhook(secret);
  const named = headers instanceof Headers ? Object.fromEntries(headers) : headers;
  // Of strings alone: an array would be a header that came twice, and none of these may.
  const single = Object.entries(named).filter((pair): pair is [string, string] => typeof pair[1] === "string");
  const texts = Object.fromEntries(single);
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  try {
    const text = typeof body === "string" ? body : decoder.decode(body);
    return webhook.verify(text, texts) as Message;
  } catch (error) {
    throw new NotVerified(`no message of the service's: ${error instanceof Error ? error.message : error}`);
  }
}
