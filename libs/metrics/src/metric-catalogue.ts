/**
 * Everything Holdfast counts and measures, declared once: `/metrics` of both apps and docs/metrics.md are made from this table,
 * and code can count nothing that is not in it. Names follow Prometheus: https://prometheus.io/docs/practices/naming/
 *
 * Labels have few values: states, classes, codes, models, workflows, groups. Never a run, a call, a tenant (there may be any
 * number of them) or anything a caller writes.
 */
export type MetricType = 'counter' | 'gauge' | 'histogram';
export type AppName = 'api' | 'processor';

export interface MetricDefinition {
  readonly type: MetricType;
  readonly apps: readonly AppName[];
  /** Label → its values, in words. */
  readonly labels: Readonly<Record<string, string>>;
  readonly meaning: string;
  /** What to think and do when it moves. */
  readonly whenItMoves: string;
  /** Upper bounds of a histogram, in its unit. */
  readonly buckets?: readonly number[];
}

const BOTH = ['api', 'processor'] as const;
const API = ['api'] as const;
const PROCESSOR = ['processor'] as const;
const QUICK_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30] as const;
const LONG_SECONDS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 180, 600, 1_800, 7_200] as const;

const failureClass = 'a failure class, `none` where nothing failed';
const model = "a workflow's model";
const pool = 'a model pool, by its name in the settings, or the model';
const group = 'a consumer group';

export const metricCatalogue = {
  // ---- runs come in ----------------------------------------------------------------------------------------------------
  holdfast_http_request_duration_seconds: {
    type: 'histogram',
    apps: API,
    labels: {
      method: 'as sent',
      route: "the route's pattern, `none` where none fits",
      status: 'HTTP status',
    },
    meaning:
      'From a request to the end of its answer. Streams of events are left out; `Prefer: wait` is not.',
    whenItMoves: '5xx: read the log by `traceId`. Slow and no `Prefer: wait`: look at Postgres.',
    buckets: QUICK_SECONDS,
  },
  holdfast_runs_accepted_total: {
    type: 'counter',
    apps: API,
    labels: { workflow: 'a workflow' },
    meaning: 'Runs committed, and answered with 202 for the first time.',
    whenItMoves: 'This is the load. Flat at zero while callers call: look at refusals.',
  },
  holdfast_submits_replayed_total: {
    type: 'counter',
    apps: API,
    labels: {},
    meaning: 'Submits that found the run of an earlier one by their key.',
    whenItMoves: 'Callers repeat themselves: their answers get lost, or they retry too eagerly.',
  },
  holdfast_submits_held_back_total: {
    type: 'counter',
    apps: API,
    labels: {},
    meaning: 'Submits answered with 429: a tenant has too many unfinished runs.',
    whenItMoves: 'More comes in than is carried out. Add processors, or find what they wait for.',
  },
  // ---- work is admitted and claimed ------------------------------------------------------------------------------------
  holdfast_admissions_total: {
    type: 'counter',
    apps: PROCESSOR,
    labels: {
      kind: '`insert`, `insert_forgotten` (the api knows it, we do not), `repeat` (the api asked), `bring_request` (of a run whose request could not be read), `make_ready`, `hop` (once more through a retry tier), `duplicate`, `stale`, `unknown_run`; of decisions `answered`, `repeated`, `sent_on`, `left_to_owner`, `kept` (until their run comes), `known`',
    },
    meaning: 'Work messages and decisions of people settled, by what they meant.',
    whenItMoves:
      '`duplicate` and `stale` are harmless. Many `hop`: retries leave their tiers too early, compare clocks.',
  },
  holdfast_dead_records_total: {
    type: 'counter',
    apps: PROCESSOR,
    labels: { code: 'why it is no work' },
    meaning: 'Work records that cannot be work, put into the dead letters.',
    whenItMoves: 'Always look: somebody writes to our topic, or versions do not fit.',
  },
  holdfast_runs_claimed_total: {
    type: 'counter',
    apps: PROCESSOR,
    labels: {},
    meaning: 'Attempts begun: a run taken by this processor, with a lease.',
    whenItMoves: 'Flat while runs are `ready`: slots are full, or lanes are paused.',
  },
  holdfast_runs_in_hand: {
    type: 'gauge',
    apps: PROCESSOR,
    labels: {},
    meaning: 'Runs that this processor holds now.',
    whenItMoves:
      'At `holdfast_run_slots` for long: it is the limit. More slots, or more processors.',
  },
  holdfast_run_slots: {
    type: 'gauge',
    apps: PROCESSOR,
    labels: {},
    meaning: 'Runs that this processor carries at most (`PROCESSOR_RUN_SLOTS`).',
    whenItMoves: 'Only with the setting.',
  },
  holdfast_waiting_runs: {
    type: 'gauge',
    apps: PROCESSOR,
    labels: { state: '`ready`, `retrying`, `needs_review`', model },
    meaning:
      'Runs that wait, of all tenants, as the database has them: every processor says the same, so take the maximum. Counted up to 100,000 per state, at most every 10 s.',
    whenItMoves:
      '`ready` grows: too few slots. `retrying` grows: OpenAI throttles or fails. `needs_review`: people are behind.',
  },
  holdfast_oldest_waiting_run_seconds: {
    type: 'gauge',
    apps: PROCESSOR,
    labels: { state: '`ready`, `retrying` (how long overdue), `needs_review`', model },
    meaning:
      'How long the longest of them has waited. Among the same 100,000; the maximum over processors.',
    whenItMoves:
      'A better alarm than the count: somebody waits. `retrying` over 10 s: the rescuer does not run.',
  },
  // ---- runs are carried out --------------------------------------------------------------------------------------------
  holdfast_run_outcomes_total: {
    type: 'counter',
    apps: PROCESSOR,
    labels: {
      outcome:
        '`completed`, `failed`, `needs_review`, `cancelled`, `retry_later`, `wait_here`, `released`',
      class: failureClass,
    },
    meaning: 'What passes over a run came to, each written under its lease.',
    whenItMoves:
      '`needs_review` and `failed`: the class says whose turn it is (docs/run-lifecycle.md).',
  },
  holdfast_run_duration_seconds: {
    type: 'histogram',
    apps: PROCESSOR,
    labels: { outcome: '`completed`, `failed`, `needs_review`, `cancelled`' },
    meaning: 'From admission to where the run ended or stopped, all waiting included.',
    whenItMoves: 'What callers feel. Compare it with the duration of calls to see who is slow.',
    buckets: LONG_SECONDS,
  },
  holdfast_run_attempts: {
    type: 'histogram',
    apps: PROCESSOR,
    labels: { outcome: '`completed`, `failed`, `needs_review`, `cancelled`' },
    meaning: 'Attempts that a run had used up when it ended or stopped.',
    whenItMoves: 'More than one as a rule: find the class in `holdfast_run_outcomes_total`.',
    buckets: [1, 2, 3, 5, 8, 13],
  },
  // ---- leases ----------------------------------------------------------------------------------------------------------
  holdfast_leases_renewed_total: {
    type: 'counter',
    apps: PROCESSOR,
    labels: {},
    meaning: 'Leases renewed.',
    whenItMoves:
      'About a third of the runs in hand per second. Flat while runs are in hand: Postgres is away.',
  },
  holdfast_leases_lost_total: {
    type: 'counter',
    apps: PROCESSOR,
    labels: {},
    meaning: 'Runs that this processor stopped work on because their lease had gone.',
    whenItMoves: 'The process was paused, its event loop blocked, or Postgres away for over 8 s.',
  },
  holdfast_rescues_total: {
    type: 'counter',
    apps: PROCESSOR,
    labels: { kind: '`lease_expired`, `retry_overdue`' },
    meaning: 'Runs taken over from an owner that is gone, and retries whose message did not come.',
    whenItMoves:
      '`lease_expired`: a processor died. `retry_overdue`: look at the lag of the retry topics.',
  },
  holdfast_fences_lost_total: {
    type: 'counter',
    apps: PROCESSOR,
    labels: { at: '`outcome`, `progress`, `check_point`, `call`, `effect`' },
    meaning: 'Writes that were refused because the run belonged to somebody else by then.',
    whenItMoves: 'The fence worked. It goes with lost leases; without them it is a bug.',
  },
  holdfast_decisions_total: {
    type: 'counter',
    apps: API,
    labels: {
      decision: '`cancel`, `redrive`, `discard`, `complete`',
      outcome: '`applied`, or the code of the refusal',
    },
    meaning: 'Decisions of people, answered.',
    whenItMoves: 'Refusals: people decide on views that are behind, or twice.',
  },
  // ---- OpenAI ----------------------------------------------------------------------------------------------------------
  holdfast_openai_request_duration_seconds: {
    type: 'histogram',
    apps: PROCESSOR,
    labels: {
      operation:
        '`create`, `retrieve`, `cancel`, and of conversations `create_conversation`, `list_items`, `delete_conversation`',
      status: 'HTTP status, `none` without an answer',
    },
    meaning: 'HTTP requests to OpenAI.',
    whenItMoves: '429: the fleet asks for too much. 5xx or `none`: OpenAI, or the way there.',
    buckets: LONG_SECONDS,
  },
  holdfast_calls_total: {
    type: 'counter',
    apps: PROCESSOR,
    labels: {
      model,
      outcome:
        '`completed`, `reused` (from the ledger, nothing paid again), `failed`, `parked` (its lane takes none now), `not_owner`, `stopped`, `aborted`',
      class: failureClass,
    },
    meaning: 'Model calls that were carried through, or taken up.',
    whenItMoves: '`failed`: the class says why. `reused`: runs go on after a crash or a retry.',
  },
  holdfast_latches_total: {
    type: 'counter',
    apps: PROCESSOR,
    labels: {
      class: '`billing`, `authorization`, `configuration`',
      change: '`set`, `released_by_operator`, `released_by_probe`',
    },
    meaning: 'Latches that this process has set or released, for the whole fleet.',
    whenItMoves: '`set`: page somebody. Pay the bill, mend the key or the model, then release it.',
  },
  holdfast_lanes_shut: {
    type: 'gauge',
    apps: PROCESSOR,
    labels: {
      model: "a workflow's model, `all` for a whole account",
      because: '`latch`, `breaker`',
    },
    meaning: 'Lanes to OpenAI that take no new call now. Read at the scrape.',
    whenItMoves:
      'Runs wait, and lose nothing. `breaker`: it passes by itself. `latch`: it may not.',
  },
  holdfast_breaker_opened_total: {
    type: 'counter',
    apps: PROCESSOR,
    labels: { model },
    meaning: "Times that a model's calls failed so often that this process let them rest.",
    whenItMoves: "OpenAI, or the way there, is down: see OpenAI's status page, then the network.",
  },
  holdfast_anchors_total: {
    type: 'counter',
    apps: PROCESSOR,
    labels: {
      account: 'as the settings name it',
      change: '`made`, `not_made`, `used`, `given_back`, `removed`, `left`',
    },
    meaning: 'Conversations at OpenAI that calls are sent on, and what became of them.',
    whenItMoves:
      '`not_made`: calls go without one, and a lost reply is held. `left`: conversations stay at OpenAI until the run that used them is cleaned up.',
  },
  holdfast_anchor_stock: {
    type: 'gauge',
    apps: PROCESSOR,
    labels: { account: 'as the settings name it' },
    meaning: 'Conversations that this processor has made ahead. Read at the scrape.',
    whenItMoves: '0 for long while calls are made: OpenAI makes none; see `not_made` above.',
  },
  holdfast_call_duration_seconds: {
    type: 'histogram',
    apps: PROCESSOR,
    labels: { model, mode: '`background`, `foreground`' },
    meaning: 'Model calls that completed, from asking the ledger to the stored result.',
    whenItMoves: 'How quick the model is. With `background` the polls are in it.',
    buckets: LONG_SECONDS,
  },
  holdfast_tokens_total: {
    type: 'counter',
    apps: PROCESSOR,
    labels: {
      model,
      kind: '`input`, `cached_input` (part of it), `output`, `reasoning` (part of it)',
    },
    meaning: 'Tokens paid for, as OpenAI counts them, of calls that completed here.',
    whenItMoves: 'This is the bill.',
  },
  holdfast_spend_dollars_total: {
    type: 'counter',
    apps: PROCESSOR,
    labels: {
      model,
      kind: '`booked` (by the count of tokens), `uncertain` (lost, cancelled or failed calls, at the most; counted once more as booked where the truth comes later)',
    },
    meaning: 'What calls have cost, in dollars, when they ended.',
    whenItMoves:
      '`uncertain` grows: replies get lost, or calls are cancelled. `GET /v1/usage` says whose.',
  },
  holdfast_budget_refusals_total: {
    type: 'counter',
    apps: PROCESSOR,
    labels: { budget: '`run`, `tenant`, `workflow` (the latter two per day)' },
    meaning: 'Calls that were not sent because a budget did not cover them.',
    whenItMoves: 'Runs wait for a person: raise the budget with a redrive, or leave it.',
  },
  holdfast_ledger_batches_total: {
    type: 'counter',
    apps: PROCESSOR,
    labels: {
      statement:
        '`open_calls`, `open_sending`, `mark_sending`, `put_back`, `reroute`, `mark_accepted`, `end_calls`',
    },
    meaning: 'Statements on the call ledger.',
    whenItMoves: 'Under load it grows slower than the calls: many go into one statement.',
  },
  holdfast_ledger_calls_total: {
    type: 'counter',
    apps: PROCESSOR,
    labels: { statement: 'the same' },
    meaning: 'Calls written by them.',
    whenItMoves: 'Divided by the batches: how well the writes are gathered.',
  },
  // ---- limits of OpenAI ------------------------------------------------------------------------------------------------
  holdfast_limit_waiting_calls: {
    type: 'gauge',
    apps: PROCESSOR,
    labels: { pool },
    meaning: 'Model calls of this processor that wait for their turn.',
    whenItMoves: 'More is asked for than the limit allows: see what is set, and what OpenAI says.',
  },
  holdfast_limit_calls_in_flight: {
    type: 'gauge',
    apps: PROCESSOR,
    labels: { pool },
    meaning: 'Model calls that this processor has on their way, from their entrance to their end.',
    whenItMoves: 'The sum over the processors is at most `inFlight` of the pool.',
  },
  holdfast_limit_wait_seconds: {
    type: 'histogram',
    apps: PROCESSOR,
    labels: {
      pool,
      outcome:
        '`entered`, `entered_elsewhere` (another account took it), `parked` (for long), `aborted`',
    },
    meaning: 'How long calls waited that could not go at once.',
    whenItMoves: 'Runs are slow because of the limit, and not of the model.',
    buckets: LONG_SECONDS,
  },
  holdfast_limit_asks_total: {
    type: 'counter',
    apps: PROCESSOR,
    labels: { pool },
    meaning: "Statements for a share of the fleet's buckets.",
    whenItMoves: 'A few per second while there is work, however many calls there are.',
  },
  holdfast_limit_corrections_total: {
    type: 'counter',
    apps: PROCESSOR,
    labels: { pool, kind: '`throttled`, `overloaded`, `limit_lowered`' },
    meaning: 'Answers of OpenAI after which less is asked for.',
    whenItMoves:
      '`throttled`: the limit is less than what is set, or others use it. `overloaded`: theirs to mend; the rate grows again by itself.',
  },
  // ---- effects outside -------------------------------------------------------------------------------------------------
  holdfast_effects_total: {
    type: 'counter',
    apps: PROCESSOR,
    labels: {
      target: 'a webhook target',
      outcome: '`done`, `failed` (surely not taken), `unknown` (it may have been)',
      class: failureClass,
    },
    meaning: 'Webhooks sent, each sending by itself.',
    whenItMoves:
      '`unknown` of class `outcome_unknown`: a run waits for a person, who asks the receiver by the delivery id.',
  },
  holdfast_effect_duration_seconds: {
    type: 'histogram',
    apps: PROCESSOR,
    labels: { target: 'a webhook target' },
    meaning: 'From the connection to the end of the answer, whatever it was.',
    whenItMoves: 'Slow: the receiver is. It is given 20 s in all.',
    buckets: QUICK_SECONDS,
  },
  holdfast_webhooks_total: {
    type: 'counter',
    apps: PROCESSOR,
    labels: {
      outcome:
        '`stored`, `repeated`, `ignored` (about something else); refused: `signature`, `outside_window`, `unreadable`, `too_large`, `off`, `not_stored`',
    },
    meaning: "OpenAI's webhooks, by what was answered.",
    whenItMoves:
      'About as many `stored` as background calls end. `signature`: the secret is another, or somebody forges. `outside_window`: compare clocks.',
  },
  holdfast_webhook_look_ups_total: {
    type: 'counter',
    apps: PROCESSOR,
    labels: {
      outcome:
        '`known` (nothing was lost), `booked` (the ledger learned what became of a call), `in_hand`, `twin`, `not_ours`, `gone`, `not_yet`, `given_up`',
    },
    meaning: 'Responses looked for in the ledger, and at OpenAI where it did not know them.',
    whenItMoves:
      '`booked`: replies were lost, and found. `not_ours`: others use the same account. `given_up`: OpenAI did not answer for minutes.',
  },
  // ---- outbox and Kafka ------------------------------------------------------------------------------------------------
  holdfast_outbox_waiting_rows: {
    type: 'gauge',
    apps: BOTH,
    labels: {},
    meaning:
      "Rows that Kafka does not have yet, in the app's own outbox. Counted up to 10,000, at most every 10 s.",
    whenItMoves: 'Growing: Kafka is away, or no relay leads.',
  },
  holdfast_outbox_oldest_row_seconds: {
    type: 'gauge',
    apps: BOTH,
    labels: {},
    meaning: 'Age of the oldest of them.',
    whenItMoves: 'The alarm to have: over 10 s nobody hears what happens.',
  },
  holdfast_outbox_parked_rows: {
    type: 'gauge',
    apps: BOTH,
    labels: {},
    meaning: 'Rows that Kafka refused for good.',
    whenItMoves: 'Not zero: their runs are stuck. The reason stands in `parked_reason`.',
  },
  holdfast_outbox_published_rows_total: {
    type: 'counter',
    apps: BOTH,
    labels: {},
    meaning: 'Rows that Kafka has acknowledged to this process.',
    whenItMoves: 'Only the leading relay counts.',
  },
  holdfast_relay_leading: {
    type: 'gauge',
    apps: BOTH,
    labels: {},
    meaning: '1 where this process publishes the outbox, else 0.',
    whenItMoves: 'The sum over all processes of an app is 1.',
  },
  holdfast_consumer_joined: {
    type: 'gauge',
    apps: BOTH,
    labels: { group },
    meaning: '1 where this member has an assignment, else 0.',
    whenItMoves: '0 for long: Kafka is away, or the group cannot settle.',
  },
  holdfast_consumer_lag_records: {
    type: 'gauge',
    apps: BOTH,
    labels: { group },
    meaning: 'Records from the first unsettled one to the end, over the partitions of this member.',
    whenItMoves: 'Growing: more comes than is settled; add processes, look at Postgres.',
  },
  holdfast_consumer_buffered_records: {
    type: 'gauge',
    apps: BOTH,
    labels: { group },
    meaning: 'Records in memory, not settled; in retry groups those that are not due yet, too.',
    whenItMoves: 'At thousands per partition fetching pauses.',
  },
  holdfast_consumer_paused_partitions: {
    type: 'gauge',
    apps: BOTH,
    labels: { group },
    meaning: 'Partitions that are not fetched from because the buffer is full.',
    whenItMoves: 'For long: settling is stuck.',
  },
  holdfast_consumer_undecodable_total: {
    type: 'counter',
    apps: BOTH,
    labels: { group },
    meaning: 'Records that are no message of ours.',
    whenItMoves:
      'Always look: dead letters, or `api.parked_events`, hold the place and the reason.',
  },
  holdfast_consumer_faults_total: {
    type: 'counter',
    apps: BOTH,
    labels: { group },
    meaning: 'Handlers that failed; their record is handed over again.',
    whenItMoves: 'Postgres is away, or there is a bug: the log names the error.',
  },
  // ---- the read model --------------------------------------------------------------------------------------------------
  holdfast_projected_events_total: {
    type: 'counter',
    apps: API,
    labels: {
      outcome:
        '`applied`, `over_gap` (applied though one before it never came), `duplicate`, `filled_in`, `parked`, `set_aside`; of spend that was settled late `settled`, `duplicate`, `set_aside`',
    },
    meaning: 'Run events taken into the read model, by what became of them.',
    whenItMoves: '`over_gap`: events were lost. `set_aside`: look into `api.parked_events`.',
  },
  holdfast_projection_lag_seconds: {
    type: 'histogram',
    apps: API,
    labels: {},
    meaning: 'From the moment of an event to its being visible to callers.',
    whenItMoves: 'Views are behind: relay, Kafka, or this consumer. Clocks of two hosts are in it.',
    buckets: QUICK_SECONDS,
  },
  holdfast_parked_events: {
    type: 'gauge',
    apps: API,
    labels: { reason: '`gap`, `unknown_run`, `unreadable`, `undecodable`, `refused` and the like' },
    meaning:
      'Events that wait for another, or are set aside. Counted up to 10,000, at most every 10 s.',
    whenItMoves:
      '`gap` and `unknown_run` pass within seconds; the others stay until somebody looks.',
  },
  holdfast_event_watchers: {
    type: 'gauge',
    apps: API,
    labels: {},
    meaning: 'Streams and `Prefer: wait` requests that wait for something to happen.',
    whenItMoves: 'People watch. All of them are served by one read.',
  },
  // ---- what has gone silent --------------------------------------------------------------------------------------------
  holdfast_reemissions_total: {
    type: 'counter',
    apps: API,
    labels: { what: '`run`, `decision`' },
    meaning:
      'Requests and decisions sent again because nothing was heard for longer than their state allows.',
    whenItMoves:
      'A few, of runs that take their time, are harmless. Many: processors are away, or events do not come through.',
  },
  holdfast_repairs_total: {
    type: 'counter',
    apps: BOTH,
    labels: {
      what: '`dispatch`, `decision`, `run` (the processor had lost all of it) at the processor; `event`, `answer` at the api',
    },
    meaning: 'What had been lost, and was made good by being sent again.',
    whenItMoves: 'Zero where all is well. Always look: a message was lost, or a table.',
  },
  holdfast_stuck_runs: {
    type: 'gauge',
    apps: API,
    labels: {},
    meaning:
      'Runs that have been silent for longer than their state allows, and of which the processor has said nothing when asked. Every api says the same. Counted up to 10,000, at most every 10 s.',
    whenItMoves: 'Not zero for over a minute: processors are away, or they do not know these runs.',
  },
  holdfast_oldest_stuck_run_seconds: {
    type: 'gauge',
    apps: API,
    labels: {},
    meaning: 'How long the most silent of them has been silent. `/readyz` names it.',
    whenItMoves: 'The alarm to have: somebody waits for nothing.',
  },
  // ---- itself ----------------------------------------------------------------------------------------------------------
  holdfast_metrics_unread_total: {
    type: 'counter',
    apps: BOTH,
    labels: { source: 'what could not be read' },
    meaning: 'Gauges left out of an answer because their source failed or took over 2 s.',
    whenItMoves: 'Postgres is away or slow.',
  },
} as const satisfies Readonly<Record<string, MetricDefinition>>;

export type MetricName = keyof typeof metricCatalogue;
type NamesOf<Type extends MetricType> = {
  [Name in MetricName]: (typeof metricCatalogue)[Name]['type'] extends Type ? Name : never;
}[MetricName];
export type CounterName = NamesOf<'counter'>;
export type GaugeName = NamesOf<'gauge'>;
export type HistogramName = NamesOf<'histogram'>;

export type LabelsOf<Name extends MetricName> = {
  readonly [Label in keyof (typeof metricCatalogue)[Name]['labels']]: string;
};

export const metricNames = Object.keys(metricCatalogue) as MetricName[];

export function definitionOf(name: MetricName): MetricDefinition {
  return metricCatalogue[name];
}
