/** What a storm does, drawn from its seed: pure, so that the same command line gives the same storm. */
import type { Fault, Operation, ScriptedFault } from '../../dev/simulator/faults.js';
import type { Behaviour } from '../support/webhook-receiver.js';
import { seededRandom } from '../../dev/simulator/seeded-random.js';

export interface StormOrder {
  readonly runs: number;
  readonly minutes: number;
  readonly seed: number;
}

export type StormOrderRead =
  | { readonly kind: 'order'; readonly order: StormOrder }
  | { readonly kind: 'refused'; readonly reason: string };

const usage = 'npm run storm -- --runs 10000 --minutes 5 --seed 7';
const defaults: StormOrder = { runs: 1_000, minutes: 2, seed: 1 };

export function parseOrder(args: readonly string[]): StormOrderRead {
  const order: Record<string, number> = { ...defaults };
  for (let at = 0; at < args.length; at += 2) {
    const name = args[at]?.replace(/^--/, '') ?? '';
    const value = Number(args[at + 1]);
    if (!(name in defaults) || !Number.isFinite(value) || value <= 0)
      return { kind: 'refused', reason: `${args[at]} ${args[at + 1]}: write ${usage}` };
    order[name] = value;
  }
  return { kind: 'order', order: order as unknown as StormOrder };
}

export function replayOf({ runs, minutes, seed }: StormOrder): string {
  return `npm run storm -- --runs ${runs} --minutes ${minutes} --seed ${seed}`;
}

/** What strikes processors and servers, one after the other; and, beside it, what strikes the apis. */
export const serverBlows = [
  'kill_processor',
  'freeze_processor',
  'kill_processor',
  'restart_kafka',
  'kill_processor',
  'restart_postgres',
  'drain_processor',
] as const;
export const apiBlows = ['kill_api', 'freeze_api'] as const;
/** What stops every call for a while. */
export const openAiBlows = ['billing_stop', 'openai_outage'] as const;

export type ServerBlow = (typeof serverBlows)[number];
export type ApiBlow = (typeof apiBlows)[number];
export type OpenAiBlow = (typeof openAiBlows)[number];

/** Endless; every kind comes before the first comes again. `pick`: which of the processes, uniform in [0, 1). */
export function* drawn<Blow>(
  blows: readonly Blow[],
  seed: number,
): Generator<{ readonly blow: Blow; readonly pick: number; readonly restMs: number }, never> {
  const random = seededRandom(seed);
  for (;;) {
    const round = blows
      .map((blow) => ({ blow, order: random() }))
      .sort((a, b) => a.order - b.order);
    for (const { blow } of round)
      yield { blow, pick: random(), restMs: 1_000 + Math.round(random() * 4_000) };
  }
}

/** For each processor that is started, in turn: whether it sends its calls on conversations. Endless. */
export function* conversationsDrawn(seed: number): Generator<'background' | 'off', never> {
  for (const random = seededRandom(seed); ;) yield random() < 0.5 ? 'background' : 'off';
}

/** No credit for anything new; or nothing but 503, conversations and polls included. */
export function stopOf(blow: OpenAiBlow): ScriptedFault[] {
  const refusal = (status: number, code: string | null): Fault => ({
    kind: 'status',
    status,
    code,
  });
  const on =
    (fault: Fault) =>
    (operation: Operation): ScriptedFault => {
      return { match: { operation }, fault, times: 'always' };
    };
  switch (blow) {
    case 'billing_stop':
      return [on(refusal(429, 'insufficient_quota'))('create')];
    case 'openai_outage':
      return operations.map(on(refusal(503, null)));
  }
}

const operations: readonly Operation[] = [
  ...(['create', 'retrieve', 'cancel', 'create_conversation'] as const),
  ...(['retrieve_conversation', 'list_items', 'delete_conversation'] as const),
];

/** An OpenAI on a bad day: part of all requests, drawn by the seed. Those charged without an answer need a person. */
export function badDay(seed: number): ScriptedFault[] {
  const part = (share: number, fault: ScriptedFault['fault'], at: number): ScriptedFault => ({
    ...{ match: { share, seed: seed * 100 + at }, fault, times: 'always' },
  });
  const onLookUp = (line: ScriptedFault): ScriptedFault => ({
    ...line,
    match: { ...line.match, operation: 'retrieve' },
  });
  /** Of the tenders alone, whose step has a broken answer mended. */
  const mended = (line: ScriptedFault): ScriptedFault => ({
    ...line,
    match: { ...line.match, inputIncludes: 'The supplier shall deliver' },
  });
  return [
    part(0.02, { kind: 'status', status: 429, headers: { 'retry-after': '1' } }, 1),
    part(0.005, { kind: 'status', status: 429 }, 2),
    part(0.01, { kind: 'status', status: 500 }, 3),
    part(0.005, { kind: 'status', status: 503 }, 4),
    part(0.003, { kind: 'reset_after_charge' }, 5),
    part(0.003, { kind: 'reset_before_read' }, 6),
    part(0.005, { kind: 'hang', ms: 6_000 }, 7),
    part(0.002, { kind: 'cut_body' }, 8),
    part(0.002, { kind: 'broken_json' }, 9),
    part(0.002, { kind: 'text', text: '\u0000 } not what was asked for' }, 10),
    part(0.001, { kind: 'refusal' }, 11),
    part(0.001, { kind: 'incomplete', reason: 'max_output_tokens' }, 12),
    part(0.001, { kind: 'failed', code: 'server_error' }, 13),
    mended(part(0.05, { kind: 'text', text: 'The supplier has to deliver.' }, 17)),
    onLookUp(part(0.01, { kind: 'status', status: 500 }, 14)),
    onLookUp(part(0.005, { kind: 'broken_json' }, 15)),
  ];
}

/** A receiver of webhooks on a bad day, drawn by the seed: cut off, busy, slow, or behind a proxy that says nothing. */
export function badReceiver(seed: number): () => Behaviour {
  const random = seededRandom(seed * 100 + 16);
  const headers = { 'retry-after': '1' };
  const parts: readonly (readonly [share: number, behaviour: Behaviour])[] = [
    [0.03, { kind: 'reset' }],
    [0.03, { kind: 'answer', status: 503, headers }],
    [0.02, { kind: 'answer', status: 429, headers }],
    [0.02, { kind: 'answer', status: 502 }],
    [0.02, { kind: 'cut', status: 200 }],
    [0.01, { kind: 'hang' }],
  ];
  return () => {
    let left = random();
    for (const [share, behaviour] of parts) if ((left -= share) < 0) return behaviour;
    return { kind: 'answer', status: 204 };
  };
}
