export {
  type Accepted,
  type AnEdit,
  type Artifact,
  Client,
  type Edit,
  type EditRequest,
  type Image,
  type Options,
} from "./client.js";
export type { AnswerCode, FailureCode, FieldCode, NoticeCode } from "./codes.js";
export {
  BadAnswer,
  ClientError,
  JobFailed,
  NotEnded,
  Refused,
  ServiceFault,
  ServiceProblem,
  TooBusy,
  Unreachable,
} from "./errors.js";
export type { Event } from "./events.js";
export type { components, operations, paths, webhooks } from "./schema.js";
