/**
 * What may go wrong, by who is at fault.
 *
 *   ClientError
 *   ├── Unreachable       no answer came
 *   ├── BadAnswer         an answer that is none of this service's
 *   ├── ServiceProblem    a problem document (RFC 9457): `code` is stable, `errors` point at fields
 *   │   ├── Refused       you (400 to 499): what was asked cannot be done
 *   │   ├── TooBusy       nobody (429, 503): it passes, and `retryAfter` says when
 *   │   └── ServiceFault  the service (500 on)
 *   ├── JobFailed         the edit has ended otherwise than well
 *   └── NotEnded          the edit goes on, and the time given to `wait` is over
 */
import type { AnswerCode, FailureCode } from "./codes.js";
import type { components } from "./schema.js";

type Edit = components["schemas"]["EditView"];
/** A later version of the service may send codes that this one does not list; editors complete those that it lists. */
type OrNewer<Code extends string> = Code | (string & {});

export class ClientError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

export class Unreachable extends ClientError {}

export class BadAnswer extends ClientError {}

export class ServiceProblem extends ClientError {
  readonly code: OrNewer<AnswerCode>;
  readonly detail: string;
  readonly errors: readonly components["schemas"]["FieldProblem"][];

  constructor(
    readonly status: number,
    problem: Partial<components["schemas"]["Problem"]>,
    /** Seconds after which it may be asked again, where the service says so. */
    readonly retryAfter?: number,
  ) {
    const { code = "unknown", detail = "", errors = [] } = problem;
    const fields = errors.map((each) => `\n  ${each.pointer}: ${each.detail}`);
    super(`${status} ${code}: ${detail}${fields.join("")}`);
    this.code = code;
    this.detail = detail;
    this.errors = errors;
  }
}

/** `status` tells 401 and 403 (the key), 404 (not there) and 409 (not in this state) apart. */
export class Refused extends ServiceProblem {}

export class TooBusy extends ServiceProblem {}

export class ServiceFault extends ServiceProblem {}

export class JobFailed extends ClientError {
  /** The job's error code where it failed; else "canceled" or "expired". */
  readonly code: OrNewer<FailureCode | "canceled" | "expired">;

  constructor(readonly edit: Edit) {
    super(`the edit ${edit.id} is ${edit.status}${edit.error ? `: ${edit.error.code}: ${edit.error.message}` : ""}`);
    this.code = edit.error?.code ?? edit.status;
  }
}

export class NotEnded extends ClientError {
  constructor(readonly edit: Edit) {
    super(`the edit ${edit.id} is ${edit.status}: wait longer, or cancel it`);
  }
}

/** The error that an answer stands for, which is no success. */
export async function errorOf(response: Response): Promise<ClientError> {
  const url = response.url.split("?")[0];
  if (response.type === "opaqueredirect" || (response.status >= 300 && response.status < 400)) {
    // Not followed: the request would be sent, key and all, to where nobody said it should.
    return new BadAnswer(`${url} leads to ${response.headers.get("location")}: give the client that address itself`);
  }
  let problem: Partial<components["schemas"]["Problem"]> = {
    detail: `${url} answered without a problem document, so it may be no answer of this service`,
  };
  if (response.headers.get("content-type")?.startsWith("application/problem+json")) problem = await response.json();
  else response.body?.cancel().catch(() => {}); // so that its connection is free again
  const { status } = response;
  const kind = status === 429 || status === 503 ? TooBusy : status < 500 ? Refused : ServiceFault;
  return new kind(status, problem, retryAfter(response.headers));
}

/** The seconds of a Retry-After header (RFC 9110, 10.2.3): a number of them, or a date. */
export function retryAfter(headers: Headers): number | undefined {
  const text = headers.get("retry-after")?.trim() ?? "";
  if (/^\d+$/.test(text)) return Number(text);
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : Math.max(0, (date - Date.now()) / 1000);
}
