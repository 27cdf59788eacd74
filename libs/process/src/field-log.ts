/**
 * What anything in Holdfast writes its log to. The fields are a closed list: a line holds ids, counts, codes and sentences of
 * our own, and nothing else can get into it. A field that is not listed here is left out, whole objects have no kind, and what
 * an error says is looked at first (error-words.ts). So no prompt, output, document, input, header or key is ever logged.
 */
export interface FieldLog {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
}

/** `word`: an id, a name or a code, in one short text. `text`: a sentence of our own. `error`: whatever was thrown. */
export const logFields = {
  // what the line is about
  runId: 'word',
  tenant: 'word',
  dispatch: 'number',
  attempt: 'number',
  fence: 'number',
  callId: 'word',
  latchId: 'word',
  /** At OpenAI, by the name that the settings give it. */
  account: 'word',
  model: 'word',
  /** Of a webhook, as its receiver sees it. */
  deliveryId: 'word',
  /** The name of a webhook's receiver. */
  target: 'word',
  responseId: 'word',
  /** The conversation at OpenAI that a call was sent on. */
  anchor: 'word',
  requestId: 'word',
  /** Models that share a limit. */
  pool: 'word',
  /** Another response id that stands in the ledger. */
  held: 'word',
  traceId: 'word',
  decisionId: 'word',
  eventId: 'word',
  /** Names a delivery of OpenAI's; its repeats have the same. */
  webhookId: 'word',
  type: 'word',
  version: 'number',
  status: 'word',
  outcome: 'word',
  owner: 'word',
  /** Who decided it. */
  by: 'word',
  lostBefore: 'number',
  // why
  error: 'error',
  class: 'word',
  code: 'word',
  kind: 'word',
  cause: 'word',
  because: 'word',
  reason: 'text',
  problem: 'text',
  /** What mends it: a command. */
  run: 'text',
  httpStatus: 'number',
  paid: 'word',
  /** What a failure does to the calls that come after it. */
  breaker: 'word',
  retryAfterMs: 'number',
  // HTTP
  /** Of a webhook's receiver. */
  host: 'word',
  method: 'word',
  /** The route's pattern, never the address itself. */
  route: 'word',
  // Kafka and the outbox
  topic: 'word',
  partition: 'number',
  offset: 'word',
  timestamp: 'number',
  key: 'word',
  groupId: 'word',
  epoch: 'number',
  partitions: 'number',
  faults: 'number',
  failures: 'number',
  schema: 'word',
  seq: 'number',
  broker: 'word',
  kafkajs: 'word',
  // counts
  runs: 'number',
  /** How often somebody was asked about it. */
  asks: 'number',
  runsInHand: 'number',
  /** Calls of a cancelled run that nobody could close. */
  leftOpen: 'number',
  /** Effects of a cancelled run of which nobody knows whether they happened. */
  unclear: 'number',
  applied: 'number',
  duplicates: 'number',
  filledIn: 'number',
  parked: 'number',
  gaps: 'number',
  setAside: 'number',
  // retention
  what: 'text',
  rows: 'number',
  tookMs: 'number',
  // Nest
  context: 'word',
} as const;

type LogFieldKind = (typeof logFields)[keyof typeof logFields];
interface ValueOfKind {
  readonly word: string;
  readonly text: string;
  readonly number: number | bigint;
  readonly error: unknown;
}

export type LogFieldName = keyof typeof logFields;
export type LogFields = {
  readonly [Name in LogFieldName]?: ValueOfKind[(typeof logFields)[Name]] | null | undefined;
};

const MAX_CHARACTERS: Readonly<Record<Exclude<LogFieldKind, 'number' | 'error'>, number>> = {
  word: 200,
  text: 1_000,
};

/** A field as it is written; undefined: left out. Errors are not done here. */
export function writtenField(name: string, value: unknown): string | number | undefined {
  const kind = kindOf(name);
  if (kind === undefined || kind === 'error' || value === null || value === undefined) {
    return undefined;
  }
  if (kind === 'number') {
    if (typeof value === 'number') return value;
    return typeof value === 'bigint' ? value.toString() : undefined;
  }
  return typeof value === 'string' ? value.slice(0, MAX_CHARACTERS[kind]) : undefined;
}

function kindOf(name: string): LogFieldKind | undefined {
  return Object.hasOwn(logFields, name) ? logFields[name as LogFieldName] : undefined;
}

/** For specs and tools that have nothing to say. */
export const silentLog: FieldLog = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};
