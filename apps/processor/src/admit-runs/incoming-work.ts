/** A work message on its way into the processor's own tables: read, checked, and put in the words of the row. */
import {
  parseRunRequested,
  parseWorkPosition,
  reemissionOf,
  type RunRequested,
} from '#libs/contracts';
import { defaultRetryPolicy, isRunId, uuidOf, type RunFailure } from '#libs/domain';
import type { ReceivedMessage } from '#libs/messaging';
import type { WorkflowCatalogue } from '#libs/workflows';
import { ownFailure, type Origin } from '../schema/index.js';

export interface IncomingWork {
  /** Bare UUID. */
  readonly runId: string;
  readonly dispatch: number;
  readonly hop: number;
  /** Of a request that the api sends again: the version of the run that it has seen last; null: it is none. */
  readonly seenVersion: number | null;
  readonly request: RunRequested;
  /** The lane that it waits in, with its tenant. */
  readonly model: string;
  readonly maxAttempts: number;
  readonly traceparent: string | null;
  readonly origin: Origin;
  /** Why this build can't carry it; it is then admitted straight into needs_review, where a person finds it. */
  readonly unworkable: RunFailure | null;
}

export type ReadWork =
  | { readonly kind: 'work'; readonly work: IncomingWork }
  /** No run can be made of it; it goes to the dead letters, with the reason. */
  | { readonly kind: 'refused'; readonly code: string; readonly reason: string };

export function readWork(message: ReceivedMessage, workflows: WorkflowCatalogue): ReadWork {
  const parsed = parseRunRequested(message);
  if (parsed.kind === 'unknown_type') {
    return refused('type_unknown', `type ${parsed.type} is not known to this build`);
  }
  if (parsed.kind === 'invalid') {
    const places = parsed.problems.map(({ pointer, message }) => `${pointer}: ${message}`);
    return refused('data_invalid', places.join('; '));
  }
  const request = parsed.value;
  const sizeBytes = Buffer.byteLength(JSON.stringify(request));
  if (sizeBytes > MAX_REQUEST_BYTES) {
    return refused('request_too_large', `${sizeBytes} bytes; the limit is ${MAX_REQUEST_BYTES}`);
  }
  if (!isRunId(request.runId) || request.runId !== message.key) {
    return refused('key_mismatch', 'the key of the record must be the runId of its data');
  }
  const position = parseWorkPosition(message.headers);
  if (position.kind === 'invalid') return refused('header_invalid', position.reason);
  const workflow = workflows.find(request.workflow, request.workflowVersion);
  return {
    kind: 'work',
    work: {
      runId: uuidOf(request.runId),
      dispatch: position.position.dispatch,
      hop: position.position.hop,
      seenVersion: reemissionOf(message.headers),
      request,
      model: workflow?.model ?? NO_MODEL,
      maxAttempts: workflow?.retry.maxAttempts ?? defaultRetryPolicy.maxAttempts,
      traceparent: traceparentOf(message),
      origin: message.position,
      unworkable: workflow ? null : workflowUnknown(request),
    },
  };
}

/**
 * Retries, dead letters and events repeat the request or parts of it, with a result or a failure beside it: all must fit into a
 * message. One that did not could be neither retried nor rescued, and would hold up the others of its batch.
 */
const MAX_REQUEST_BYTES = 256 * 1024;

/** W3C Trace Context: whoever can't read a trace begins a new one. */
function traceparentOf({ traceparent }: ReceivedMessage): string | null {
  return traceparent !== undefined && TRACEPARENT.test(traceparent) ? traceparent : null;
}

const TRACEPARENT = /^[\da-f]{2}-[\da-f]{32}-[\da-f]{16}-[\da-f]{2}$/;

/** The lane of runs that no model waits for. */
export const NO_MODEL = 'none';

function workflowUnknown(request: RunRequested): RunFailure {
  const pinned = `${request.workflow.slice(0, 200)} version ${request.workflowVersion}`;
  const message = `workflow ${pinned} is not in this build; deploy one that has it, then redrive`;
  return ownFailure({ class: 'internal', code: 'workflow_unknown', message }, request.workflow);
}

function refused(code: string, reason: string): ReadWork {
  return { kind: 'refused', code, reason };
}
