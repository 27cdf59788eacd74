import type { FailureClass } from './failure-class.js';

/** What support needs to know about why a run stands where it stands. Holds no prompt and no output text. */
export interface RunFailure {
  readonly class: FailureClass;
  /** Stable code: OpenAI's own where it gave one, else ours (`attempts_used_up`, `handler_error` …). */
  readonly code: string;
  readonly httpStatus: number | null;
  /** OpenAI's ids, so that their support can find the call. */
  readonly requestId: string | null;
  readonly responseId: string | null;
  /** One line, at most 1 KB. */
  readonly message: string;
  /** Groups failures of one cause; see `fingerprintSource`. */
  readonly fingerprint: string;
  /** Name of the step that failed; null where no step ran. */
  readonly step: string | null;
  /** Lowest item of a `map` step that failed; null outside `map`. */
  readonly item: number | null;
  readonly itemsFailed: number | null;
}

/** Changes when the rule below changes, so that groups of different rules are never mixed. */
export const FINGERPRINT_ALGORITHM = 1;

/** The canonical text whose hash is the fingerprint; the edge does the hashing. */
export function fingerprintSource(
  failure: Pick<RunFailure, 'class' | 'code' | 'httpStatus' | 'step' | 'message'>,
  workflow: string,
): string {
  const parts = [failure.class, failure.code, failure.httpStatus ?? '-', workflow];
  return [
    FINGERPRINT_ALGORITHM,
    ...parts,
    failure.step ?? '-',
    normaliseMessage(failure.message),
  ].join('|');
}

/** Ids, numbers and quoted values differ between failures of one cause: fold them away. An apostrophe quotes nothing. */
export function normaliseMessage(message: string): string {
  return message
    .replace(/\s+/g, ' ')
    .trim()
    .replace(/\b[a-z]+_[A-Za-z0-9-]{8,}\b/g, '<id>')
    .replace(/\b[0-9a-f]{8}-[0-9a-f-]{27}\b/gi, '<id>')
    .replace(/(?<!\w)(["'`]).*?\1(?!\w)/g, '<value>')
    .replace(/\d+(\.\d+)?/g, '<n>');
}
