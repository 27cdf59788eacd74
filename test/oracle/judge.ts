/**
 * The oracle: holds facts against the promises. Pure; knows nothing of how Holdfast works inside. Its own negative controls,
 * histories that are wrong on purpose, are in judge.spec.ts and test/faults/weaker-variants.spec.ts.
 */
import type { CallFact, ChargeFact, EventFact, ExecutionFact, Facts } from './facts.js';

/** What is promised, by the name under which a breach of it is reported. */
export const rules = {
  lost: 'an accepted run is in the tables of both apps, and its end was told',
  two_runs_of_one_key: 'one key is one run',
  unfinished: 'every run has ended, or waits for a person',
  no_reason: 'a run that waits for a person says why, and lies in the dead letters',
  two_owners: 'one owner at a time commits: one event per version, one outcome per dispatch',
  paid_twice: 'no model call is paid twice',
  unbooked: 'every payment is in the ledger, as made or as possible',
  misbooked:
    'what a call is booked with is what was charged for it, to the nano-dollar; the rest is uncertain',
  mistold:
    'what is told of a run’s spend, at its end or later, is what the ledger says of its calls',
  overspent: 'no run costs more than its budget',
  told_twice: 'nobody outside is told twice, but where that is booked as possible',
  told_differently: 'whoever outside is told again is told the same, under the same delivery id',
  told_unbooked: 'what somebody outside was told is in the books, and the other way round',
  ends_twice: 'a run tells one end at most, and nothing after it',
  end_missing: 'a run that has ended has told it, once',
  out_of_order: 'the first occurrences of a run’s events are version 1 to n, in order',
  early: 'a retry does not begin before the time that was told',
  view_differs: 'api, processor and outside consumer say the same of a run',
  unpublished: 'nothing is left in an outbox',
  slow_recovery: 'after a kill of one processor its runs go on within 15 s',
} as const;

export type Rule = keyof typeof rules;

export interface Breach {
  readonly rule: Rule;
  /** A run, a key, a call. */
  readonly subject: string;
  readonly what: string;
}

const RECOVERY_LIMIT_MS = 15_000;
const terminal = ['completed', 'failed', 'cancelled'];
const settled = [...terminal, 'needs_review'];
/** Ways of leaving a run that commit nothing for it. */
const withoutOutcome = ['lease_lost', 'released', 'parked'];
/** Paid for nothing: another call of that item may follow. */
const endedBadly = ['failed', 'cancelled'];
/** Events that say something about a decision, not about where the run stands. */
const asides = ['RunDecisionApplied', 'RunDecisionRefused'];

export function judge(facts: Facts): Breach[] {
  const storyOf = storiesOf(facts.events);
  return [
    ...lost(facts),
    ...twoRunsOfOneKey(facts),
    ...facts.executions.flatMap((run) => unsettled(run, facts)),
    ...twoOutcomes(facts),
    ...paidTwice(facts),
    ...unbooked(facts),
    ...misbooked(facts),
    ...mistold(facts),
    ...overspent(facts),
    ...toldTwice(facts),
    ...toldDifferently(facts),
    ...toldUnbooked(facts),
    ...[...storyOf].flatMap(([runId, story]) => wrongStory(runId, story)),
    ...facts.executions.flatMap((run) => disagreement(run, storyOf.get(run.runId) ?? [], facts)),
    ...unpublished(facts),
    ...facts.recoveriesMs.flatMap((ms, index) =>
      ms <= RECOVERY_LIMIT_MS ? [] : [breach('slow_recovery', `kill ${index + 1}`, `${ms} ms`)],
    ),
  ];
}

/** First occurrences in the order of reading: what a consumer sees that drops repeats by id. */
function storiesOf(events: readonly EventFact[]): Map<string, EventFact[]> {
  const first = new Map<string, EventFact>();
  for (const event of events) if (!first.has(event.id)) first.set(event.id, event);
  return Map.groupBy(first.values(), ({ runId }) => runId);
}

function lost({ answers, views, executions, events }: Facts): Breach[] {
  const places = [
    ['the api', new Set(views.map(({ runId }) => runId))],
    ['the processor', new Set(executions.map(({ runId }) => runId))],
    ['the events topic', new Set(events.map(({ runId }) => runId))],
  ] as const;
  const accepted = [...new Set(answers.map(({ runId }) => runId))];
  return accepted.flatMap((runId) =>
    places.flatMap(([place, known]) =>
      known.has(runId) ? [] : [breach('lost', runId, `accepted, but unknown to ${place}`)],
    ),
  );
}

function twoRunsOfOneKey({ answers, views }: Facts): Breach[] {
  const named = [...answers, ...views.flatMap(({ key, runId }) => (key ? [{ key, runId }] : []))];
  return [...Map.groupBy(named, ({ key }) => key)].flatMap(([key, of]) => {
    const ids = new Set(of.map(({ runId }) => runId));
    return ids.size <= 1 ? [] : [breach('two_runs_of_one_key', key, [...ids].join(', '))];
  });
}

function unsettled(run: ExecutionFact, { deadLetters }: Facts): Breach[] {
  if (!settled.includes(run.status)) return [breach('unfinished', run.runId, run.status)];
  if (run.status !== 'needs_review') return [];
  const reason = run.failureClass === null ? [breach('no_reason', run.runId, 'no failure')] : [];
  const letter = deadLetters.includes(run.runId)
    ? []
    : [breach('no_reason', run.runId, 'no dead letter')];
  return [...reason, ...letter];
}

function twoOutcomes({ attempts }: Facts): Breach[] {
  const outcomes = attempts.filter(
    ({ outcome }) => outcome !== null && !withoutOutcome.includes(outcome),
  );
  const byDispatch = Map.groupBy(outcomes, ({ runId, dispatch }) => `${runId}/${dispatch}`);
  return [...byDispatch].flatMap(([place, of]) =>
    of.length === 1 ? [] : [breach('two_owners', place, `outcomes by fences ${fences(of)}`)],
  );
}

function paidTwice({ charges, calls }: Facts): Breach[] {
  const resent = new Set(calls.flatMap((c) => (c.possibleDuplicate ? [c.callId] : [])));
  const byCall = Map.groupBy(charges, ({ callId }) => callId);
  const charged = [...byCall].flatMap(([callId, of]) =>
    of.length === 1 || resent.has(callId)
      ? []
      : [breach('paid_twice', callId, `charged ${of.length} times`)],
  );
  const paid = calls.filter((c) => byCall.has(c.callId) && !endedBadly.includes(c.state));
  const byItem = Map.groupBy(paid, ({ runId, step, item }) => `${runId}/${step}/${item}`);
  const again = [...byItem].flatMap(([item, of]) =>
    of.length === 1 || isMended(of, byCall)
      ? []
      : [breach('paid_twice', item, `paid calls: ${statesOf(of)}`)],
  );
  return [...charged, ...again];
}

/** An answer that was spoilt, and the one call that mends it: both are paid by design, and a third is not. */
function isMended(
  calls: readonly CallFact[],
  charges: ReadonlyMap<string, readonly ChargeFact[]>,
): boolean {
  const [one, other, ...more] = calls;
  if (one === undefined || other === undefined || more.length > 0) return false;
  const mends = (later: CallFact, earlier: CallFact) =>
    (charges.get(later.callId) ?? []).every((each) => each.mends === earlier.callId);
  return mends(other, one) || mends(one, other);
}

function unbooked({ charges, calls }: Facts): Breach[] {
  const byId = new Map(calls.map((call) => [call.callId, call.state]));
  return charges.flatMap(({ callId }) => {
    const state = byId.get(callId);
    return state === undefined || state === 'planned'
      ? [breach('unbooked', callId, `charged, in the ledger: ${state ?? 'nothing'}`)]
      : [];
  });
}

function misbooked({ charges, calls }: Facts): Breach[] {
  const byCall = Map.groupBy(charges, ({ callId }) => callId);
  return calls.flatMap((call) => {
    const { callId, cost, state, reserved, lostSendings, usageEstimated } = call;
    const prices = (byCall.get(callId) ?? []).flatMap(({ price }) =>
      price === null ? [] : [price],
    );
    const isMadeUp = cost !== null && cost > 0n && !prices.includes(cost);
    const isTold = state === 'done' && !usageEstimated;
    const isForgotten = cost === null && isTold && prices.length > 0;
    const isShort = chargedTo(call) < sumOf(prices);
    if (!isMadeUp && !isForgotten && !isShort) return [];
    const ledger = `booked ${cost}, reserved ${reserved} for each of ${lostSendings} lost`;
    return [breach('misbooked', callId, `${ledger}; charged ${prices.join(' + ') || 'nothing'}`)];
  });
}

/** Of runs at rest. A call that is only planned has spent nothing. */
function mistold({ executions, calls, spent }: Facts): Breach[] {
  const callsOf = Map.groupBy(calls, ({ runId }) => runId);
  const spentBy = new Map(spent.map((each) => [each.runId, each]));
  return executions.flatMap(({ runId, status }) => {
    if (!settled.includes(status)) return [];
    const own = callsOf.get(runId) ?? [];
    const booked = sumOf(own.map(({ cost }) => cost ?? 0n));
    const uncertain = sumOf(own.map(chargedTo)) - booked;
    const told = spentBy.get(runId) ?? { booked: 0n, uncertain: 0n };
    if (told.booked === booked && told.uncertain === uncertain) return [];
    const what = `told ${told.booked} and ${told.uncertain} uncertain; in the ledger ${booked} and ${uncertain}`;
    return [breach('mistold', runId, what)];
  });
}

/** By the ledger and by the bill: neither may exceed the budget. */
function overspent({ executions, calls, charges }: Facts): Breach[] {
  return executions.flatMap(({ runId, maxCostUsd }) => {
    if (!maxCostUsd) return [];
    const limit = BigInt(Math.round(Number(maxCostUsd) * 1e9));
    const counted = sumOf(calls.filter((call) => call.runId === runId).map(chargedTo));
    const billed = sumOf(
      charges.flatMap((each) => (each.runId === runId ? [each.price ?? 0n] : [])),
    );
    if (counted <= limit && billed <= limit) return [];
    return [breach('overspent', runId, `${limit} allowed, ${counted} counted, ${billed} billed`)];
  });
}

/** What a call counts for: what is booked, and what is uncertain. */
function chargedTo({ reserved, lostSendings, cost }: Facts['calls'][number]): bigint {
  return reserved * BigInt(lostSendings) + (cost ?? reserved);
}

const sumOf = (amounts: readonly bigint[]): bigint => amounts.reduce((sum, each) => sum + each, 0n);

function toldTwice({ effects, deliveries }: Facts): Breach[] {
  const booked = new Set(effects.flatMap((e) => (e.possibleDuplicate ? [e.deliveryId] : [])));
  const taken = deliveries.filter((delivery) => delivery.taken);
  return [...Map.groupBy(taken, ({ deliveryId }) => deliveryId)].flatMap(([id, of]) =>
    of.length === 1 || booked.has(id)
      ? []
      : [breach('told_twice', id, `taken ${of.length} times, booked as once`)],
  );
}

function toldDifferently({ effects, deliveries }: Facts): Breach[] {
  const bodies = [...Map.groupBy(deliveries, ({ deliveryId }) => deliveryId)].flatMap(([id, of]) =>
    new Set(of.map(({ body }) => body)).size === 1
      ? []
      : [breach('told_differently', id, of.map(({ body }) => body).join(' | '))],
  );
  const ids = [...Map.groupBy(effects, ({ runId, step }) => `${runId}/${step}`)].flatMap(
    ([place, of]) =>
      of.length === 1
        ? []
        : [breach('told_differently', place, of.map((e) => e.deliveryId).join(', '))],
  );
  return [...bodies, ...ids];
}

function toldUnbooked({ effects, deliveries }: Facts): Breach[] {
  const states = new Map(effects.map(({ deliveryId, state }) => [deliveryId, state]));
  const came = new Set(deliveries.flatMap((each) => (each.taken ? [each.deliveryId] : [])));
  const unknown = [...came].filter((id) => [undefined, 'planned'].includes(states.get(id)));
  const absent = effects.filter(
    ({ state, deliveryId }) => state === 'done' && !came.has(deliveryId),
  );
  return [
    ...unknown.map((id) => breach('told_unbooked', id, `told; in the books: ${states.get(id)}`)),
    ...absent.map(({ deliveryId }) =>
      breach('told_unbooked', deliveryId, 'booked as done; nobody was told'),
    ),
  ];
}

function wrongStory(runId: string, story: readonly EventFact[]): Breach[] {
  const told = story.map(({ version, name }) => `${version} ${name}`).join(', ');
  const versions = story.map(({ version }) => version);
  const ends = story.filter(({ name, status }) => terminal.includes(status) && !isAside(name));
  const last = story.findLast(({ name }) => !isAside(name));
  return [
    ...(new Set(versions).size < versions.length ? [breach('two_owners', runId, told)] : []),
    ...(versions.every((version, index) => version === index + 1)
      ? []
      : [breach('out_of_order', runId, told)]),
    ...(ends.length > 1 || (ends.length === 1 && ends[0] !== last)
      ? [breach('ends_twice', runId, told)]
      : []),
    ...story.flatMap(({ nextAttemptAt }, index) => {
      const next = story[index + 1];
      if (!nextAttemptAt || next?.name !== 'RunStarted') return [];
      const isEarly = Date.parse(next.occurredAt ?? '') < Date.parse(nextAttemptAt);
      return isEarly ? [breach('early', runId, `${next.occurredAt} before ${nextAttemptAt}`)] : [];
    }),
  ];
}

/** Processor, api and topic on one run. */
function disagreement(run: ExecutionFact, story: readonly EventFact[], facts: Facts): Breach[] {
  const { runId, status, version } = run;
  const said = story.findLast(({ name }) => !isAside(name))?.status;
  const view = facts.views.find((each) => each.runId === runId);
  const missing = terminal.includes(status) && said !== status;
  const differs =
    view?.status !== status || view.version !== version || story.at(-1)?.version !== version;
  const all = `processor ${version} ${status}, api ${view?.version} ${view?.status}, topic ${story.at(-1)?.version} ${said}`;
  return [
    ...(missing ? [breach('end_missing', runId, all)] : []),
    ...(settled.includes(status) && differs ? [breach('view_differs', runId, all)] : []),
  ];
}

function unpublished({ unpublished: rows }: Facts): Breach[] {
  return rows === 0 ? [] : [breach('unpublished', 'outbox', `${rows} rows`)];
}

function isAside(name: string): boolean {
  return asides.includes(name);
}

function statesOf(calls: readonly { readonly state: string }[]): string {
  return calls.map(({ state }) => state).join(', ');
}

function fences(attempts: readonly { readonly fence: string }[]): string {
  return attempts.map(({ fence }) => fence).join(', ');
}

function breach(rule: Rule, subject: string, what: string): Breach {
  return { rule, subject, what };
}
