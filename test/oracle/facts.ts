/**
 * What the oracle looks at: what callers were told, what lies in the tables and on the topics, what OpenAI would bill. Never
 * Holdfast's own counters or logs. Run ids are bare UUIDs.
 */
export interface Facts {
  /** Every 202, repeats included. */
  readonly answers: readonly { readonly key: string; readonly runId: string }[];
  readonly views: readonly ViewFact[];
  readonly executions: readonly ExecutionFact[];
  readonly attempts: readonly AttemptFact[];
  readonly calls: readonly CallFact[];
  readonly charges: readonly ChargeFact[];
  /** Runs that have told what they spent. */
  readonly spent: readonly SpentFact[];
  readonly effects: readonly EffectFact[];
  /** In the order in which a receiver outside got them. */
  readonly deliveries: readonly DeliveryFact[];
  /** In the order in which an outside consumer read them, repeats included. A run's events are on one partition. */
  readonly events: readonly EventFact[];
  /** Runs that the dead-letter topic names. */
  readonly deadLetters: readonly string[];
  /** Rows still in an outbox, parked ones included. */
  readonly unpublished: number;
  /** For each processor killed while another lived: until the last of its runs was in other hands. */
  readonly recoveriesMs: readonly number[];
}

/** A run as the api shows it. */
export interface ViewFact {
  readonly runId: string;
  readonly key: string | null;
  readonly status: string;
  readonly version: number;
}

/** A run as the processor has it. */
export interface ExecutionFact {
  readonly runId: string;
  readonly status: string;
  readonly version: number;
  readonly failureClass: string | null;
  /** Its budget in dollars. */
  readonly maxCostUsd?: string | null;
}

/** One claim, and how its owner left the run; null while he has it. */
export interface AttemptFact {
  readonly runId: string;
  readonly fence: string;
  readonly dispatch: number;
  readonly outcome: string | null;
}

export interface CallFact {
  readonly callId: string;
  readonly runId: string;
  readonly step: number;
  readonly item: number;
  readonly state: string;
  /** Its author allowed a second sending, and it was used: booked, so not a breach. */
  readonly possibleDuplicate: boolean;
  /** Nano-dollars: the most that one sending may cost, and what the newest did cost; null: the ledger does not know. */
  readonly reserved: bigint;
  readonly cost: bigint | null;
  /** Sendings before the newest of which the ledger does not know what they cost. */
  readonly lostSendings: number;
  /** Its answer was found on its conversation: what it used, and so what it cost, was not told. */
  readonly usageEstimated: boolean;
}

/** What the api adds up for a run, in nano-dollars. */
export interface SpentFact {
  readonly runId: string;
  readonly booked: bigint;
  readonly uncertain: bigint;
}

/** What OpenAI would bill. */
export interface ChargeFact {
  readonly callId: string;
  readonly runId: string;
  /** In nano-dollars, by the oracle's own price list; null: its response tells no usage. */
  readonly price: bigint | null;
  /** The call whose answer its request mends: OpenAI spoilt that answer, and was asked the same with it; null: none. */
  readonly mends: string | null;
}

/** A message to somebody outside, as the processor has it. */
export interface EffectFact {
  readonly deliveryId: string;
  readonly runId: string;
  readonly step: number;
  readonly state: string;
  /** It was sent again although an earlier sending may have been taken: booked, so not a breach. */
  readonly possibleDuplicate: boolean;
}

/** A message as it came to the receiver. */
export interface DeliveryFact {
  readonly deliveryId: string;
  readonly body: string;
  /** False: turned away with a status that says so. True in doubt. */
  readonly taken: boolean;
}

export interface EventFact {
  readonly id: string;
  readonly runId: string;
  readonly version: number;
  readonly name: string;
  readonly status: string;
  /** When it happened, ISO 8601. */
  readonly occurredAt?: string;
  /** Of a scheduled retry: when it is due. */
  readonly nextAttemptAt?: string;
}
