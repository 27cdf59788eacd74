/**
 * Whether the processor is asked about a run, or a decision, of which nothing was heard for a while. Pure.
 *
 * Asking is cheap and harmless, and still it must not become a habit: where a processor or Kafka is away, all runs are silent at
 * once. So each further question about the same silence waits twice as long as the one before.
 */
import type { RunStatus } from '#libs/domain';

export interface SilencePolicy {
  /** How long a request may go unheard, and a decision unanswered. The other patiences are multiples of it. */
  readonly silenceMs: number;
  /** The longest pause between two questions about the same silence. */
  readonly maxPauseMs: number;
  /** After so long nobody is asked any more: what is stuck then is told, and waits for a person. */
  readonly horizonMs: number;
}

const DAY_MS = 86_400_000;

/** The horizon is the time that a topic keeps work: rows of the processor outlive it by far, so no ended run is begun anew. */
export function silencePolicy(silenceMs: number): SilencePolicy {
  return { silenceMs, maxPauseMs: DAY_MS, horizonMs: 7 * DAY_MS };
}

/** Instants are epoch ms of the database's clock. */
export interface Silence {
  /** Of a run its view's, `pending` of a decision. */
  readonly status: RunStatus | 'pending';
  readonly version: number;
  /** Since when nothing was heard. */
  readonly sinceMs: number;
  readonly nextAttemptAtMs: number | null;
  /** How often it was asked about since then, and when last. */
  readonly asks: number;
  readonly askedAtMs: number | null;
}

export type Ask =
  | { readonly kind: 'ask' }
  /** It may be silent for so much longer. */
  | { readonly kind: 'wait'; readonly forMs: number }
  /** Nothing is to be heard of it any more. */
  | { readonly kind: 'rest'; readonly because: 'ended' | 'horizon' };

export function decideAsk(silence: Silence, policy: SilencePolicy, nowMs: number): Ask {
  const times = patienceOf(silence);
  if (times === null) return { kind: 'rest', because: 'ended' };
  if (nowMs - silence.sinceMs > policy.horizonMs) return { kind: 'rest', because: 'horizon' };
  const { asks, askedAtMs, sinceMs, nextAttemptAtMs } = silence;
  const patienceMs = times * policy.silenceMs;
  const pauseMs = Math.min(patienceMs * 2 ** asks, Math.max(patienceMs, policy.maxPauseMs));
  const fromMs = Math.max(askedAtMs ?? sinceMs, nextAttemptAtMs ?? sinceMs);
  const forMs = fromMs + pauseMs - nowMs;
  return forMs <= 0 ? { kind: 'ask' } : { kind: 'wait', forMs };
}

/** In silences: how long this state may say nothing; null: it says nothing more. */
function patienceOf({ status, version }: Silence): number | null {
  switch (status) {
    case 'pending':
      return 1;
    case 'queued':
      return version === 0 ? 1 : 5; // nobody has it yet, or it waits for a slot or a lane
    case 'running':
      return 2; // a call may take longer, and tells nothing meanwhile: then the processor says so
    case 'retrying':
      return 1; // past its time
    case 'needs_review':
      return 60; // people take theirs
    case 'completed':
    case 'failed':
    case 'cancelled':
      return null;
  }
}
