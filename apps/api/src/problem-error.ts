import { problemKinds, type ProblemCode, type ProblemField } from '#libs/contracts';

/** Thrown anywhere on the way of a request; the problem filter answers it as `application/problem+json`. */
export class ProblemError extends Error {
  override readonly name = 'ProblemError';
  readonly status: number;
  readonly errors: readonly ProblemField[];
  readonly headers: Readonly<Record<string, string>>;
  /** Members of the problem beyond RFC 9457's own, such as the state of a run that has no result. */
  readonly extensions: Readonly<Record<string, unknown>>;

  constructor(
    readonly code: ProblemCode,
    /** What happened this time, for the reader of the answer. */
    detail: string,
    more: {
      readonly errors?: readonly ProblemField[];
      readonly headers?: Readonly<Record<string, string>>;
      readonly extensions?: Readonly<Record<string, unknown>>;
      readonly cause?: unknown;
    } = {},
  ) {
    super(detail, { cause: more.cause });
    this.status = problemKinds[code].status;
    this.errors = more.errors ?? [];
    this.headers = more.headers ?? {};
    this.extensions = more.extensions ?? {};
  }
}
