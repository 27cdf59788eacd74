/**
 * A request of which only the headers can be read. Its run is made visible all the same: it waits for a person, with the reason,
 * instead of being `queued` for ever. Nothing of it is carried out: its request is not known.
 */
import { REQUEST_UNREADABLE, RUN_REQUESTED, workHeaders } from '#libs/contracts';
import { defaultRetryPolicy, isRunId, uuidOf } from '#libs/domain';
import type { RecordPosition } from '#libs/messaging';
import { ownFailure } from '../schema/index.js';
import { NO_MODEL, type IncomingWork } from './incoming-work.js';

/** Of a record, decoded or not. */
export interface UnreadRecord {
  readonly type: string | undefined;
  readonly subject: string | null;
  readonly key: string | null;
  readonly headers: Readonly<Record<string, string>>;
  readonly position: RecordPosition;
}

/** @returns null where it does not say which run it asks for, and whose */
export function readUnread(record: UnreadRecord, reason: string): IncomingWork | null {
  const { type, subject, key, headers, position } = record;
  const named = new Set([subject, key].filter((name) => name !== null && isRunId(name)));
  const [runId] = named.size === 1 ? named : [];
  const tenant = nameIn(headers[workHeaders.tenant]);
  const workflow = nameIn(headers[workHeaders.workflow]);
  const version = headers[workHeaders.workflowVersion] ?? '';
  if (type !== RUN_REQUESTED || !runId || !isRunId(runId) || !tenant || !workflow) return null;
  if (!/^[1-9]\d{0,8}$/.test(version)) return null;
  const message = `its request could not be read (${reason.slice(0, 300)}); mend the cause, then redrive`;
  return {
    ...{ runId: uuidOf(runId), dispatch: 1, hop: 0, seenVersion: null },
    request: {
      ...{ runId, tenant, workflow, workflowVersion: Number(version), inputRef: NO_INPUT },
      ...{ documents: [], priority: 'batch', deadlineAt: null, reference: null, labels: {} },
    },
    ...{ model: NO_MODEL, maxAttempts: defaultRetryPolicy.maxAttempts },
    ...{ traceparent: null, origin: position },
    unworkable: ownFailure({ class: 'internal', code: REQUEST_UNREADABLE, message }, workflow),
  };
}

/** Stands in the row for an input that is not known; a request that can be read never has it. */
export const NO_INPUT = '';

function nameIn(text: string | undefined): string | null {
  return text !== undefined && /^[^\0]{1,200}$/.test(text) ? text : null;
}
