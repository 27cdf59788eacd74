/**
 * Random scripts of what can happen to two runs, one step after the other, against a small model: messages in any order and any number
 * of times, claims, writes of owners old and new, deaths, rescues, decisions of people. After each step rows and model agree; at the
 * end of a script so do events, answers and check-points. (Steps at the same moment: lock-order.spec.ts and the specs per store.)
 *
 * (I1) One owner per fence, and none but the last one writes.
 * (I2) `version` grows by one with each event, and a run that has ended stays so.
 * (I3) Only the message of the dispatch that is due starts work.
 * (I4) No claim is forgotten: each has its attempt, and all but the one that is open say how they ended.
 * (I5) A decision is answered once; the same message again repeats its answer.
 */
import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import type { Claim } from '../../../apps/processor/src/execute-runs/claim.js';
import type { Outcome } from '../../../apps/processor/src/execute-runs/outcome.js';
import type { DecisionName } from '#libs/domain';
import {
  aDecision,
  aFailure,
  aWork,
  completed,
  progressed,
  retryLater,
  type ProcessorFixture,
  type SpecProcessor,
} from './processor-fixture.js';

interface Model {
  status: string;
  dispatch: number;
  version: number;
  fence: bigint;
  owner: string | null;
  lostLeases: number;
  expired: boolean;
  /** Its wait is over. */
  due: boolean;
  /** Its owner, or the next one, is to end it as cancelled. */
  cancelRequested: boolean;
  /** Items of its check-points. */
  readonly saved: Set<number>;
}

interface ModelDecision {
  readonly decisionId: string;
  readonly name: DecisionName;
  isAnswered: boolean;
}

const RUNS = [0, 1] as const;
const outcomes = {
  progressed: progressed(1),
  retry_later: retryLater(4_000),
  completed,
  needs_review: { kind: 'needs_review', failure: aFailure({ class: 'billing' }) },
  failed: { kind: 'failed', failure: aFailure({ class: 'policy' }) },
  released: { kind: 'released' },
  cancelled: { kind: 'cancelled' },
} satisfies Record<string, Outcome>;
type OutcomeName = keyof typeof outcomes;

const anyRun = fc.constantFrom(...RUNS);
const anyWho = fc.nat({ max: 1 });
/** Which of the claims that were ever made of a run, counted from the newest: mostly that one. */
const anyClaim = fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.nat({ max: 4 }));
/** How far from the dispatch that is due: mostly not at all. */
const anyOffset = fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.constantFrom(-2, -1, 1));
const anyOutcome = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.constantFrom<OutcomeName[]>('progressed', 'retry_later', 'released'),
  },
  { weight: 3, arbitrary: fc.constantFrom<OutcomeName[]>('needs_review', 'cancelled') },
  fc.constantFrom<OutcomeName[]>('completed', 'failed'),
);
const anyDecision = fc.constantFrom<DecisionName[]>(
  'cancel',
  'redrive',
  'redrive',
  'discard',
  'complete',
);
export type Step =
  | { kind: 'deliver'; run: number; who: number; offset: number }
  | { kind: 'claim'; who: number; slots: number }
  | { kind: 'move'; run: number; which: number; outcome: OutcomeName }
  | { kind: 'save'; run: number; which: number; item: number }
  | { kind: 'renew'; run: number; which: number }
  | { kind: 'expire'; run: number }
  /** It becomes due, is claimed, and its owner dies. */
  | { kind: 'die'; run: number; who: number }
  | { kind: 'rescue'; who: number }
  | { kind: 'wait_ends'; run: number }
  | { kind: 'admit_overdue'; who: number }
  | { kind: 'decide'; run: number; who: number; name: DecisionName }
  /** One of those that were made before comes again. */
  | { kind: 'decide_again'; run: number; who: number; which: number };
type FieldsOf<Kind> = Omit<Extract<Step, { kind: Kind }>, 'kind'>;
const step = <Kind extends Step['kind']>(
  weight: number,
  kind: Kind,
  fields: { [Name in keyof FieldsOf<Kind>]: fc.Arbitrary<FieldsOf<Kind>[Name]> },
) => ({
  weight,
  arbitrary: fc.record(fields).map((values) => ({ kind, ...values }) as unknown as Step),
});
export const anyStep = fc.oneof(
  step(3, 'deliver', { run: anyRun, who: anyWho, offset: anyOffset }),
  step(6, 'claim', { who: anyWho, slots: fc.integer({ min: 1, max: 3 }) }),
  step(4, 'move', { run: anyRun, which: anyClaim, outcome: anyOutcome }),
  step(2, 'save', { run: anyRun, which: anyClaim, item: fc.nat({ max: 3 }) }),
  step(2, 'renew', { run: anyRun, which: anyClaim }),
  step(3, 'expire', { run: anyRun }),
  step(6, 'die', { run: anyRun, who: anyWho }),
  step(2, 'rescue', { who: anyWho }),
  step(2, 'wait_ends', { run: anyRun }),
  step(2, 'admit_overdue', { who: anyWho }),
  step(3, 'decide', { run: anyRun, who: anyWho, name: anyDecision }),
  step(1, 'decide_again', { run: anyRun, who: anyWho, which: fc.nat({ max: 4 }) }),
);
export class RunScene {
  private readonly runIds = RUNS.map(() => aWork().runId);
  private readonly models = RUNS.map((): Model | undefined => undefined);
  /** Every claim ever made, as its owner still has it. */
  private readonly claims = RUNS.map((): { claim: Claim; by: SpecProcessor }[] => []);
  private readonly fencesSeen = new Set<string>();
  /** How owners left their runs. */
  private readonly endings = new Map<Claim, OutcomeName>();
  private readonly decisions = RUNS.map((): ModelDecision[] => []);

  constructor(
    private readonly fixture: ProcessorFixture,
    private readonly processors: readonly [SpecProcessor, SpecProcessor],
  ) {}

  async play(steps: readonly Step[]): Promise<void> {
    await this.fixture.empty();
    for (const step of steps) {
      await this.step(step);
      await this.agree(step);
    }
    await this.storyAgrees();
  }

  private async step(step: Step): Promise<void> {
    switch (step.kind) {
      case 'deliver':
        return this.deliver(step.run, step.offset, this.processors[step.who]!);
      case 'claim':
        return this.claim(this.processors[step.who]!, step.slots);
      case 'move':
        return this.move(step.run, step.which, step.outcome);
      case 'save':
        return this.save(step.run, step.which, step.item);
      case 'renew':
        return this.renew(step.run, step.which);
      case 'expire':
        return this.expire(step.run);
      case 'die':
        await this.waitEnds(step.run);
        await this.admitOverdue(this.processors[step.who]!);
        await this.claim(this.processors[step.who]!, 3);
        await this.expire(step.run);
        return this.rescue(this.processors[step.who]!);
      case 'rescue':
        return this.rescue(this.processors[step.who]!);
      case 'wait_ends':
        return this.waitEnds(step.run);
      case 'admit_overdue':
        return this.admitOverdue(this.processors[step.who]!);
      case 'decide':
        return this.decide(step.run, step.name, this.processors[step.who]!);
      case 'decide_again':
        return this.decideAgain(step.run, step.which, this.processors[step.who]!);
    }
  }

  private async waitEnds(run: number): Promise<void> {
    const model = this.models[run];
    if (!model || model.due) return;
    await this.fixture.sql(
      `UPDATE processor.executions SET next_attempt_at = now() - interval '1 s' WHERE run_id = $1`,
      [this.runIds[run]],
    );
    model.due = true;
  }

  private async admitOverdue(by: SpecProcessor): Promise<void> {
    await by.rescue.admitOverdue(0);
    for (const model of this.models) {
      if (model?.status === 'retrying' && model.due) model.status = 'ready';
    }
  }

  private async expire(run: number): Promise<void> {
    const model = this.models[run];
    if (model?.status !== 'running') return;
    await this.fixture.expire(this.runIds[run]!);
    model.expired = true;
  }

  private async deliver(run: number, offset: number, to: SpecProcessor): Promise<void> {
    const dispatch = Math.max(1, (this.models[run]?.dispatch ?? 1) + offset);
    const { kind } = await to.admit.admit(aWork({ runId: this.runIds[run]!, dispatch }));
    const model = this.models[run];
    if (!model) {
      expect(kind).toBe(dispatch === 1 ? 'insert' : 'settle');
      if (dispatch === 1) this.insert(run);
      return;
    }
    const awaited = model.status === 'retrying' && model.dispatch === dispatch;
    expect(kind).toBe(awaited ? 'make_ready' : 'settle');
    if (awaited) model.status = 'ready';
  }

  /** What was decided before the run was known is answered now; a cancel ends it (Y4). */
  private insert(run: number): void {
    const model = newModel();
    this.models[run] = model;
    const early = this.decisions[run]!;
    const others = early.filter(({ name }) => name !== 'cancel');
    for (const each of others) each.isAnswered = true;
    model.version += others.length;
    if (others.length < early.length) this.endAsCancelled(run);
  }

  /** Every cancel that waits for it is answered. */
  private endAsCancelled(run: number): void {
    const model = this.models[run]!;
    const waiting = this.decisions[run]!.filter((each) => !each.isAnswered);
    for (const each of waiting) each.isAnswered = true;
    model.version += waiting.length + 1;
    if (model.status === 'running') model.fence += 1n;
    Object.assign(model, { status: 'cancelled', owner: null, cancelRequested: false });
  }

  private async decide(run: number, name: DecisionName, by: SpecProcessor): Promise<void> {
    const decision = aDecision(this.runIds[run]!, name, { decisionId: randomUUID() });
    const { kind } = await by.admit.admit(decision);
    const made: ModelDecision = { decisionId: decision.decisionId, name, isAnswered: false };
    this.decisions[run]!.push(made);
    const model = this.models[run];
    if (!model) return expect(kind).toBe('kept');
    if (name === 'cancel' && model.status === 'running') {
      model.cancelRequested = true;
      return expect(kind).toBe('left_to_owner');
    }
    const isEnded = ['completed', 'failed', 'cancelled'].includes(model.status);
    if (name === 'cancel' && !isEnded) {
      this.endAsCancelled(run);
      return expect(kind).toBe('answered');
    }
    made.isAnswered = true;
    model.version += 1;
    const isApplied = name !== 'cancel' && model.status === 'needs_review';
    expect(kind).toBe(isApplied && name === 'redrive' ? 'sent_on' : 'answered');
    if (!isApplied) return;
    model.version += 1;
    if (name === 'complete') model.status = 'completed';
    else if (name === 'discard') model.status = 'failed';
    else {
      Object.assign(model, { status: 'ready', lostLeases: 0, due: true });
      model.dispatch += 1;
    }
  }

  private async decideAgain(run: number, which: number, by: SpecProcessor): Promise<void> {
    const made = this.decisions[run]!;
    const each = made.at(-1 - (which % Math.max(1, made.length)));
    if (!each) return;
    const { decisionId, name } = each;
    const { kind } = await by.admit.admit(aDecision(this.runIds[run]!, name, { decisionId }));
    expect(kind).toBe(each.isAnswered ? 'repeated' : 'known'); // (I5)
  }

  private async claim(by: SpecProcessor, slots: number): Promise<void> {
    const claims = await by.claims.claim(slots);
    const claimable = this.models.filter((model) => model?.status === 'ready' && model.due);
    expect(claims).toHaveLength(Math.min(slots, claimable.length));
    for (const claim of claims) {
      const run = this.runIds.indexOf(claim.run.run_id);
      const model = this.models[run]!;
      expect(model).toMatchObject({ status: 'ready', due: true });
      const fence = `${run}/${claim.fence}`;
      expect(this.fencesSeen.has(fence)).toBe(false); // one owner per fence
      this.fencesSeen.add(fence);
      this.claims[run]!.push({ claim, by });
      Object.assign(model, { status: 'running', owner: by.owner, expired: false });
      model.fence += 1n;
      model.version += 1;
    }
  }

  private async move(run: number, which: number, name: OutcomeName): Promise<void> {
    const held = this.held(run, which);
    if (!held) return;
    const { claim, by, owns, model } = held;
    if (name === 'cancelled' && !model.cancelRequested) return; // no owner ends a run so by himself
    const overtaken = owns && model.cancelRequested && name !== 'cancelled' && name !== 'released';
    const isWritten = owns || this.endings.get(claim) === name; // the batch again, after a lost answer to COMMIT
    const expected = overtaken ? 'cancel_requested' : isWritten ? 'written' : 'lost'; // (I1)
    expect(await by.moves.move(claim, outcomes[name])).toBe(expected);
    if (!owns || overtaken) return;
    if (name !== 'progressed') this.endings.set(claim, name);
    if (name === 'cancelled') return this.endAsCancelled(run);
    if (name !== 'released') model.version += 1;
    if (name === 'progressed') return;
    Object.assign(model, { owner: null, status: name === 'released' ? 'ready' : name });
    model.fence += 1n;
    if (name !== 'retry_later') return;
    Object.assign(model, { status: 'retrying', due: false, lostLeases: 0 });
    model.dispatch += 1;
  }

  private async save(run: number, which: number, item: number): Promise<void> {
    const held = this.held(run, which);
    if (!held) return;
    const { claim, by, owns, model } = held;
    const point = {
      tenant: 'default',
      runId: claim.run.run_id,
      fence: claim.fence,
      step: 0,
      item,
    };
    expect(await by.checkPoints.save({ ...point, value: 1 })).toBe(owns);
    if (owns) Object.assign(model, { lostLeases: 0, saved: model.saved.add(item) });
  }

  private async renew(run: number, which: number): Promise<void> {
    const held = this.held(run, which);
    if (!held) return;
    const [answer] = await held.by.leases.renew([held.claim]);
    expect(answer).toMatchObject({ mine: held.owns, renewed: held.owns });
    if (held.owns) expect(answer?.cancelRequested).toBe(held.model.cancelRequested);
    if (held.owns) held.model.expired = false;
  }

  private async rescue(by: SpecProcessor): Promise<void> {
    const rescued = (await by.rescue.rescueExpired()).map(({ run_id }) => run_id).sort();
    const lost = this.ids((model) => model.status === 'running' && model.expired);
    expect(rescued).toEqual(lost.sort());
    for (const runId of lost) {
      const run = this.runIds.indexOf(runId);
      const model = this.models[run]!;
      if (model.cancelRequested) {
        this.endAsCancelled(run);
        continue;
      }
      model.lostLeases += 1;
      model.fence += 1n;
      const [status, events] = (
        [
          ['ready', 0],
          ['retrying', 1],
          ['needs_review', 1],
        ] as const
      )[model.lostLeases - 1]!;
      Object.assign(model, { status, owner: null, expired: false });
      model.version += events;
      if (status !== 'retrying') continue;
      model.dispatch += 1;
      model.due = false;
      // Under five seconds, so that its message admits it and does not hop.
      await this.fixture.sql(
        `UPDATE processor.executions SET next_attempt_at = now() + interval '4 s' WHERE run_id = $1`,
        [runId],
      );
    }
  }

  private held(run: number, which: number) {
    const claims = this.claims[run]!;
    const each = claims.at(-1 - (which % Math.max(1, claims.length)));
    const model = this.models[run];
    if (!each || !model) return undefined;
    const owns = model.status === 'running' && model.fence === each.claim.fence;
    return { ...each, model, owns };
  }

  private ids(holds: (model: Model) => boolean): string[] {
    return this.runIds.filter((_, run) => {
      const model = this.models[run];
      return model !== undefined && holds(model);
    });
  }

  private async agree(step: Step): Promise<void> {
    for (const [run, model] of this.models.entries()) {
      const row = await this.fixture.row(this.runIds[run]!);
      const seen = row && {
        ...{ status: row.status, dispatch: row.dispatch, version: row.version, fence: row.fence },
        ...{ owner: row.owner, lostLeases: row.lost_leases },
        cancelRequested: row.cancel_requested,
      };
      const { expired: _expired, due: _due, saved: _saved, ...expected } = model ?? newModel();
      expect({ step, run, seen }).toEqual({ step, run, seen: model && expected });
    }
  }

  /** (I2), (I4), (I5); what was saved is there, and nothing else. */
  private async storyAgrees(): Promise<void> {
    for (const [run, model] of this.models.entries()) {
      const saved = (await this.processors[0].checkPoints.load(this.runIds[run]!)).get(0);
      expect(new Set(saved?.keys())).toEqual(model?.saved ?? new Set());
      const told = await this.fixture.events(this.runIds[run]);
      const events = [...new Map(told.map((event) => [event.id, event])).values()];
      const versions = Array.from({ length: model?.version ?? 0 }, (_, index) => index + 1);
      expect(events.map(({ version }) => version)).toEqual(versions);
      const facts = events.filter(({ answers }) => answers === null);
      const ends = facts.filter(({ status }) => terminal.includes(status));
      expect(ends).toEqual(terminal.includes(model?.status ?? '') ? [facts.at(-1)] : []);
      const answered = this.decisions[run]!.filter(({ isAnswered }) => isAnswered);
      expect(events.flatMap(({ answers }) => answers ?? []).sort()).toEqual(
        answered.map(({ decisionId }) => decisionId).sort(),
      );
      await this.attemptsAgree(run);
    }
  }

  private async attemptsAgree(run: number): Promise<void> {
    const rows = await this.fixture.sql<{ fence: bigint; outcome: string | null }>(
      `SELECT fence, outcome FROM processor.attempts WHERE run_id = $1 ORDER BY fence`,
      [this.runIds[run]],
    );
    expect(rows.map(({ fence }) => fence)).toEqual(
      this.claims[run]!.map(({ claim }) => claim.fence),
    );
    const isOpen = this.models[run]?.status === 'running';
    const open = rows.filter(({ outcome }) => outcome === null);
    expect(open).toEqual(isOpen ? rows.slice(-1) : []);
  }
}

const terminal = ['completed', 'failed', 'cancelled'];

function newModel(): Model {
  return {
    ...{ status: 'ready', dispatch: 1, version: 0, fence: 0n, owner: null },
    ...{ lostLeases: 0, expired: false, due: true, cancelRequested: false, saved: new Set() },
  };
}
