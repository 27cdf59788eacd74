/** A call of unknown outcome: asks the conversation that it was sent on, and waits for what OpenAI's webhook tells. */
import { type AnchorLook, lookAtAnchor } from '../anchors/look-at-anchor.js';
import { nextPollMs } from '../openai/poll-schedule.js';
import { lookAgain, type CallAtHand, type Step } from './call-at-hand.js';
import { endByAnchor } from './end-call.js';

export class LostCall {
  /** Looks into the ledger while the outcome was unknown. */
  #looks = 0;
  #lateLooks = 0;
  #endOfWait: (() => void) | undefined;

  constructor(private readonly call: CallAtHand) {}

  /** Looks at the anchor after the call's own time was over. */
  get lateLooks(): number {
    return this.#lateLooks;
  }

  /** For how long after a sending it may still be told of: a webhook comes when the response ends, and only for background responses. */
  get toldWithinMs(): number {
    const { mode, account, request, parts } = this.call;
    if (parts.webhooks === null || mode !== 'background' || !account.has('webhooks')) return 0;
    return request.callTimeoutMs + parts.webhooks.graceMs;
  }

  /** @param leftMs for which it makes sense to ask again; may be over */
  async askAnchor(look: AnchorLook, attempt: number, leftMs: number): Promise<Step> {
    const { callId, account, parts } = this.call;
    const { anchor, mayDelete } = look;
    if (mayDelete) this.#lateLooks += 1;
    const { endpoint } = account;
    const timeoutMs = parts.timing.requestTimeoutMs;
    const asked = { endpoint, timeoutMs, monotonicMs: () => performance.now() };
    const word = await lookAtAnchor(look, asked);
    if (word.kind === 'answer' || word.kind === 'part')
      return endByAnchor(this.call, word, { attempt, anchor, responseId: null });
    if (word.kind === 'never_taken') {
      await parts.ledger.fence({ callId, attempt, anchor });
      parts.log.info({ callId, anchor }, 'a lost call never ran, and its anchor is deleted');
      return lookAgain;
    }
    return this.awaitWord(Math.max(0, leftMs));
  }

  /** Until this process is told, or it is time to look: another process may have been told. */
  async awaitWord(leftMs: number): Promise<Step> {
    const { callId, owner, parts } = this.call;
    const { told, timing } = parts;
    this.#endOfWait ??= owner.onOutcomeUnknown?.(leftMs);
    const policy = { firstMs: timing.firstPollMs, maxMs: timing.maxPollMs };
    const nextMs = nextPollMs(
      { polls: this.#looks++, askedMs: null, random: Math.random() },
      policy,
    );
    await told.wait(callId, leftMs > 0 ? Math.min(nextMs, leftMs) : nextMs, owner.signal);
    return this.call.reasonNotToSend() ?? { kind: 'waited' };
  }

  /** Nobody waits any more: its owner is told, where he was told of the wait. */
  endWait(): void {
    this.#endOfWait?.();
  }
}
