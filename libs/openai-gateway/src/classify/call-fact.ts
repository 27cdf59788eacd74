/** What can come of asking OpenAI for something, apart from a result: the facts that a failure class is decided from. */
export type CallFact =
  | NoAnswer
  | RefusedRequest
  | FailedResponse
  | IncompleteResponse
  | DeadlinePassed
  | ResponseGone
  | CancelledElsewhere
  | CancelledOnRequest
  | SenderDied;

/** Nothing that can be read came back: no connection, no reply, half a reply, or not OpenAI's. */
export interface NoAnswer {
  readonly kind: 'no_answer';
  /** Did any byte of the request leave? In doubt yes. */
  readonly requestLeft: boolean;
  /** Name of the innermost error: `ECONNREFUSED`, `UND_ERR_SOCKET`, `SyntaxError`. */
  readonly cause: string;
  /** Where headers arrived, though no body that can be read. */
  readonly httpStatus: number | null;
  readonly requestId: string | null;
}

/** An HTTP status other than 2xx. */
export interface RefusedRequest {
  readonly kind: 'refused';
  readonly status: number;
  /** The body is OpenAI's JSON `error` object; else something between us and OpenAI answered. */
  readonly isOpenAis: boolean;
  readonly code: string | null;
  readonly param: string | null;
  /** May quote the request: passes through `safe-text.ts` before anybody sees it. */
  readonly message: string;
  readonly headers: Headers;
  readonly requestId: string | null;
}

/** `status: "failed"` inside a 200. */
export interface FailedResponse {
  readonly kind: 'failed_response';
  readonly code: string | null;
  readonly responseId: string;
  readonly requestId: string | null;
}

/** `status: "incomplete"` inside a 200, for any reason but the content filter (which is a result). */
export interface IncompleteResponse {
  readonly kind: 'incomplete_response';
  readonly reason: string | null;
  /** null: found on the call's anchor. */
  readonly responseId: string | null;
  readonly requestId: string | null;
}

/** The call's own time is up. Unless the cancel is confirmed, OpenAI may still be working, and billing. */
export interface DeadlinePassed {
  readonly kind: 'deadline_passed';
  readonly cancelConfirmed: boolean;
  readonly responseId: string;
  readonly requestId: string | null;
}

/** OpenAI no longer has the response. */
export interface ResponseGone {
  readonly kind: 'response_gone';
  readonly responseId: string;
  readonly requestId: string | null;
}

/** Somebody else cancelled the response at OpenAI. */
export interface CancelledElsewhere {
  readonly kind: 'cancelled_elsewhere';
  readonly responseId: string;
  readonly requestId: string | null;
}

/** We cancelled the response, because its run has ended or is to end without it. */
export interface CancelledOnRequest {
  readonly kind: 'cancelled_on_request';
  readonly responseId: string | null;
  readonly requestId: string | null;
}

/** The ledger says "sending", and whoever sent has not lived to say what came of it. */
export interface SenderDied {
  readonly kind: 'sender_died';
}
