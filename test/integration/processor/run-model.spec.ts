/**
 * Real: Postgres, the processor's stores, two processors. Stands in: time: leases and waits end when the script says so.
 * Random scripts of what can happen to two runs, one step after the other, against a small model. After each step rows and
 * model agree; at the end of a script, so do events and check-points. (Steps at the same moment: lock-order.spec.ts and the specs per store.)
 */
import fc from 'fast-check';
import type { Claim } from '../../../apps/processor/src/execute-runs/claim.js';
import type { Outcome } from '../../../apps/processor/src/execute-runs/outcome.js';
import {
  aFailure,
  aWork,
  completed,
  openProcessorFixture,
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
  /** Items of its check-points. */
  readonly saved: Set<number>;
}

const RUNS = [0, 1] as const;
const outcomes = {
  progressed: progressed(1),
  retry_later: retryLater(4_000),
  completed,
  needs_review: { kind: 'needs_review', failure: aFailure({ class: 'billing' }) },
  failed: { kind: 'failed', failure: aFailure({ class: 'policy' }) },
  released: { kind: 'released' },
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
  fc.constantFrom<OutcomeName[]>('completed', 'needs_review', 'failed'),
);
type Step =
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
  | { kind: 'admit_overdue'; who: number };
type FieldsOf<Kind> = Omit<Extract<Step, { kind: Kind }>, 'kind'>;
const step = <Kind extends Step['kind']>(
  weight: number,
  kind: Kind,
  fields: { [Name in keyof FieldsOf<Kind>]: fc.Arbitrary<FieldsOf<Kind>[Name]> },
) => ({
  weight,
  arbitrary: fc.record(fields).map((values) => ({ kind, ...values }) as unknown as Step),
});
const anyStep = fc.oneof(
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
);
let fixture: ProcessorFixture;
let processors: [SpecProcessor, SpecProcessor];
beforeAll(async () => {
  fixture = await openProcessorFixture();
  processors = [fixture.processor('one'), fixture.processor('two')];
});
afterAll(() => fixture.stop());

class Script {
  private readonly runIds = RUNS.map(() => aWork().runId);
  private readonly models = RUNS.map((): Model | undefined => undefined);
  /** Every claim ever made, as its owner still has it. */
  private readonly claims = RUNS.map((): { claim: Claim; by: SpecProcessor }[] => []);
  private readonly fencesSeen = new Set<string>();
  private readonly endings = new Map<Claim, OutcomeName>();

  async play(steps: readonly Step[]): Promise<void> {
    await fixture.empty();
    for (const step of steps) {
      await this.step(step);
      await this.agree(step);
    }
    await this.storyAgrees();
  }

  private async step(step: Step): Promise<void> {
    switch (step.kind) {
      case 'deliver':
        return this.deliver(step.run, step.offset, processors[step.who]!);
      case 'claim':
        return this.claim(processors[step.who]!, step.slots);
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
        await this.admitOverdue(processors[step.who]!);
        await this.claim(processors[step.who]!, 3);
        await this.expire(step.run);
        return this.rescue(processors[step.who]!);
      case 'rescue':
        return this.rescue(processors[step.who]!);
      case 'wait_ends':
        return this.waitEnds(step.run);
      case 'admit_overdue':
        return this.admitOverdue(processors[step.who]!);
    }
  }

  private async waitEnds(run: number): Promise<void> {
    const model = this.models[run];
    if (!model || model.due) return;
    await fixture.sql(
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
    await fixture.expire(this.runIds[run]!);
    model.expired = true;
  }

  private async deliver(run: number, offset: number, to: SpecProcessor): Promise<void> {
    const dispatch = Math.max(1, (this.models[run]?.dispatch ?? 1) + offset);
    const { kind } = await to.admit.admit(aWork({ runId: this.runIds[run]!, dispatch }));
    const model = this.models[run];
    if (!model) {
      expect(kind).toBe(dispatch === 1 ? 'insert' : 'settle');
      if (dispatch === 1) this.models[run] = newModel();
      return;
    }
    const awaited = model.status === 'retrying' && model.dispatch === dispatch;
    expect(kind).toBe(awaited ? 'make_ready' : 'settle');
    if (awaited) model.status = 'ready';
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
    const isWritten = owns || this.endings.get(claim) === name; // the batch again, after a lost answer to COMMIT
    expect(await by.moves.move(claim, outcomes[name])).toBe(isWritten ? 'written' : 'lost');
    if (!owns) return;
    if (name !== 'released') model.version += 1;
    if (name === 'progressed') return;
    this.endings.set(claim, name);
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
    if (held.owns) held.model.expired = false;
  }

  private async rescue(by: SpecProcessor): Promise<void> {
    const rescued = (await by.rescue.rescueExpired()).map(({ run_id }) => run_id).sort();
    const lost = this.ids((model) => model.status === 'running' && model.expired);
    expect(rescued).toEqual(lost.sort());
    for (const runId of lost) {
      const model = this.models[this.runIds.indexOf(runId)]!;
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
      await fixture.sql(
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
      const row = await fixture.row(this.runIds[run]!);
      const seen = row && {
        ...{ status: row.status, dispatch: row.dispatch, version: row.version, fence: row.fence },
        ...{ owner: row.owner, lostLeases: row.lost_leases },
      };
      const { expired: _expired, due: _due, saved: _saved, ...expected } = model ?? newModel();
      expect({ step, run, seen }).toEqual({ step, run, seen: model && expected });
    }
  }

  /** One event per version, in order, and none after the end; what was saved is there, and nothing else. */
  private async storyAgrees(): Promise<void> {
    for (const [run, model] of this.models.entries()) {
      const saved = (await processors[0].checkPoints.load(this.runIds[run]!)).get(0);
      expect(new Set(saved?.keys())).toEqual(model?.saved ?? new Set());
      const events = await fixture.events(this.runIds[run]);
      const versions = Array.from({ length: model?.version ?? 0 }, (_, index) => index + 1);
      expect(events.map(({ version }) => version)).toEqual(versions);
      const ends = events.filter(({ status }) => status === 'completed' || status === 'failed');
      expect(ends.length).toBeLessThanOrEqual(1);
      if (ends.length === 1) expect(events.at(-1)).toBe(ends[0]);
    }
  }
}

function newModel(): Model {
  return {
    ...{ status: 'ready', dispatch: 1, version: 0, fence: 0n, owner: null },
    ...{ lostLeases: 0, expired: false, due: true, saved: new Set() },
  };
}

it('whatever happens to runs, in any order, happens to the model too', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyStep, { minLength: 20, maxLength: 60, size: 'max' }), (steps) =>
      new Script().play(steps),
    ),
    { numRuns: 50, endOnFailure: true },
  );
});
