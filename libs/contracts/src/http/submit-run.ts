import {
  ArrayMaxSize,
  ArrayUnique,
  IsArray,
  IsIn,
  IsObject,
  IsOptional,
  IsString,
  Matches,
  ValidateBy,
} from 'class-validator';
import { runPriorities, type RunPriority } from '#libs/domain';
import type { BudgetPart } from '../messages/money-parts.js';
import { IsBudget } from './budget.js';
import { pointerTo, rule } from './check-fields.js';

export const MAX_DOCUMENTS = 100;
export const MAX_LABELS = 32;

/** What makes one action one run: 1 to 255 visible ASCII characters. */
export const IDEMPOTENCY_KEY = /^[\x21-\x7e]{1,255}$/;

const DOCUMENT_ID = /^doc_[A-Za-z0-9_-]{43}$/;
/** Visible text on one line: no control characters (a text column refuses U+0000), no half surrogate pairs. */
const LINE = /^[^\p{Cc}\p{Cs}]+$/u;
const LABEL_NAME = /^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$/;
const MAX_LABEL_VALUE = 255;
/** ISO 8601 duration in units of fixed length; years and months have none. */
const DURATION = /^P(?=.)(?:(\d{1,4})D)?(?:T(?=.)(?:(\d{1,6})H)?(?:(\d{1,7})M)?(?:(\d{1,8})S)?)?$/;

/** Body of `POST /v1/runs`. The workflow's own contract checks `input` further. */
export class SubmitRunBody {
  /** Name of a workflow; its newest version is pinned. */
  @IsString(rule('must be a string', 'Name the workflow to run, such as "answer".'))
  workflow!: string;

  /** What the workflow works on, by its own contract. */
  @IsObject(rule('must be a JSON object', "Send the workflow's input as an object."))
  input!: Record<string, unknown>;

  /** Ids that `POST /v1/documents` gave. */
  @IsOptional()
  @IsArray(rule('must be a list', 'List document ids: ["doc_…"].'))
  @ArrayMaxSize(MAX_DOCUMENTS, rule('has too many entries', `Send at most ${MAX_DOCUMENTS}.`))
  @ArrayUnique(rule('names a document twice', 'Name each document once.', repeatedEntries))
  @Matches(DOCUMENT_ID, {
    each: true,
    ...rule(
      'is not a document id',
      'Use the id that POST /v1/documents answered: doc_ and 43 characters.',
      (value) => entriesThat(value, (entry) => !isMatch(DOCUMENT_ID, entry)),
    ),
  })
  documents?: string[] | null;

  /** The caller's own id for what this run is about; comes back on the view and on every event. */
  @IsOptional()
  @Matches(
    /^[^\p{Cc}\p{Cs}]{1,200}$/u,
    rule('must be one line of text', 'Send 1 to 200 characters without control characters.'),
  )
  reference?: string | null;

  /** The caller's own marks; come back like `reference`. */
  @IsOptional()
  @IsLabels()
  labels?: Record<string, string> | null;

  /** `interactive` (default) goes before `batch`. */
  @IsOptional()
  @IsIn(
    runPriorities,
    rule('is not a priority', `Use one of: ${runPriorities.join(', ')}; or leave it out.`),
  )
  priority?: RunPriority | null;

  /** How long the run may take in all; it fails as `deadline_exceeded` afterwards. */
  @IsOptional()
  @Matches(DURATION, rule('is not a duration', 'Send days to seconds in ISO 8601, such as "PT2H".'))
  deadline?: string | null;

  /** What the run's model calls may cost together; a call that it does not cover is not made. */
  @IsOptional()
  @IsBudget()
  budget?: BudgetPart | null;
}

/** Length of a checked `deadline`. */
export function durationMs(duration: string): number {
  const [, days, hours, minutes, seconds] = DURATION.exec(duration) ?? [];
  const inSeconds =
    Number(days ?? 0) * 86_400 +
    Number(hours ?? 0) * 3_600 +
    Number(minutes ?? 0) * 60 +
    Number(seconds ?? 0);
  return inSeconds * 1000;
}

function IsLabels(): PropertyDecorator {
  const mend = `Send at most ${MAX_LABELS} pairs of strings: names of letters, digits and ._/- (up to 63), values of one line (up to ${MAX_LABEL_VALUE}).`;
  const where = (value: unknown) => wrongLabels(value);
  return ValidateBy(
    { name: 'labels', validator: { validate: (value) => wrongLabels(value).length === 0 } },
    rule('must be an object of short strings', mend, where),
  );
}

function wrongLabels(value: unknown): string[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [''];
  const labels = Object.entries(value);
  if (labels.length > MAX_LABELS) return [''];
  return labels
    .filter(([name, label]) => !isMatch(LABEL_NAME, name) || !isLabelValue(label))
    .map(([name]) => pointerTo(name));
}

function isLabelValue(value: unknown): boolean {
  if (typeof value !== 'string' || value.length > MAX_LABEL_VALUE) return false;
  return value === '' || LINE.test(value);
}

function isMatch(pattern: RegExp, value: unknown): boolean {
  return typeof value === 'string' && pattern.test(value);
}

function entriesThat(value: unknown, isWrong: (entry: unknown) => boolean): string[] {
  if (!Array.isArray(value)) return [''];
  return value.flatMap((entry: unknown, index) => (isWrong(entry) ? [pointerTo(index)] : []));
}

function repeatedEntries(value: unknown): string[] {
  if (!Array.isArray(value)) return [''];
  return value.flatMap((entry, index) => (value.indexOf(entry) < index ? [pointerTo(index)] : []));
}
