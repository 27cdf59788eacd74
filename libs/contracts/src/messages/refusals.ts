/** What dead letters say of records that were refused, whoever refuses them: why, and where they lie. Never what is in them. */
import { springDeadLetterHeaders, workHeaders } from './work-headers.js';

/** Where a record lies: logical topic, partition, offset, time in the log (epoch ms). */
interface Place {
  readonly topic: string;
  readonly partition: number;
  readonly offset: string;
  readonly timestamp: number;
}

const MAX_REASON_CHARS = 1_000;
const MAX_NAME_CHARS = 200;

export function refusalHeaders(place: Place, code: string, reason: string): Record<string, string> {
  const [topic, partition, offset] = [place.topic, String(place.partition), place.offset];
  return {
    [workHeaders.errorClass]: 'internal',
    [workHeaders.errorCode]: code,
    [workHeaders.errorMessage]: refusalReason(reason),
    [workHeaders.originalTopic]: topic,
    [workHeaders.originalPartition]: partition,
    [workHeaders.originalOffset]: offset,
    [workHeaders.originalTimestamp]: String(place.timestamp),
    [springDeadLetterHeaders.originalTopic]: topic,
    [springDeadLetterHeaders.originalPartition]: partition,
    [springDeadLetterHeaders.originalOffset]: offset,
    [springDeadLetterHeaders.exceptionClass]: `holdfast.${code}`,
    [springDeadLetterHeaders.exceptionMessage]: refusalReason(reason),
  };
}

/** As much of a reason as a header bears. */
export function refusalReason(reason: string): string {
  return reason.slice(0, MAX_REASON_CHARS);
}

/** A stranger's key or subject may be empty, a megabyte, or hold U+0000: no message of ours can bear it then. */
export function usableName(name: string | null): string | null {
  const usable = name?.trim() && name.length <= MAX_NAME_CHARS && !name.includes('\0');
  return usable ? name : null;
}
