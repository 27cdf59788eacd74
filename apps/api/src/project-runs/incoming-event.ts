import { isRepeated, parseRunEvent, type Parsed, type RunEvent } from '#libs/contracts';
import { isRunId, uuidOf } from '#libs/domain';
import type { ReceivedMessage, RecordPosition } from '#libs/messaging';

/** An event on its way into the read model. */
export interface IncomingEvent {
  readonly tenant: string;
  readonly runUuid: string;
  readonly version: number;
  /** `ce_id` and `ce_type`. */
  readonly eventId: string;
  readonly type: string;
  readonly event: RunEvent;
  /** The data as it was published, for the history. */
  readonly body: unknown;
  readonly position: RecordPosition;
  /** Nothing before it is to be waited for: applied even where a version is missing, or its run is not known. */
  readonly overGap: boolean;
  /** It was sent again because the api asked: where it is news, it had been lost. */
  readonly repeated: boolean;
}

export type ReadEvent =
  | { readonly kind: 'event'; readonly event: IncomingEvent }
  /** Nothing can be made of it by this build: to be set aside, with the reason. */
  | {
      readonly kind: 'unreadable';
      readonly reason: 'unknown_type' | 'invalid';
      readonly problem: string;
    };

type Readable = Pick<ReceivedMessage, 'id' | 'type' | 'data' | 'position'> &
  Partial<Pick<ReceivedMessage, 'headers'>>;

/** @param waited it has been parked for long enough */
export function readEvent(message: Readable, waited = false): ReadEvent {
  const parsed = parseRunEvent(message);
  switch (parsed.kind) {
    case 'unknown_type':
      return {
        kind: 'unreadable',
        reason: 'unknown_type',
        problem: `type ${parsed.type} is not known to this build`,
      };
    case 'invalid':
      return {
        kind: 'unreadable',
        reason: 'invalid',
        problem: problemsOf(parsed),
      };
    case 'parsed':
      return incoming(message, parsed.value, waited);
  }
}

export function problemsOf({ problems }: Extract<Parsed<unknown>, { kind: 'invalid' }>): string {
  return problems.map((each) => `${each.pointer} ${each.message}`).join('; ');
}

function incoming(message: Readable, event: RunEvent, waited: boolean): ReadEvent {
  const { runId, tenant, version } = event.data;
  if (!isRunId(runId)) {
    return { kind: 'unreadable', reason: 'invalid', problem: '/runId is not a run id' };
  }
  const { id: eventId, type, data: body, position } = message;
  const runUuid = uuidOf(runId);
  const repeated = isRepeated(message.headers ?? {});
  const overGap = waited || repeated;
  return {
    kind: 'event',
    event: { tenant, runUuid, version, eventId, type, event, body, position, overGap, repeated },
  };
}
