/**
 * What the gateway promises about money: nothing is sent that a budget does not cover, and what calls have cost is known, or kept
 * apart as uncertain.
 * Real: Postgres, HTTP, the openai SDK, undici, the tokeniser. Stands in: OpenAI (dev/simulator). Several gateways play several
 * processors; where these ask for one budget at once they are processes of their own.
 */
import { randomUUID } from 'node:crypto';
import { nanoUsd, type NanoUsd } from '#libs/domain';
import type { Metrics } from '#libs/metrics';
import {
  bumpFences,
  callIdOf,
  giveUpUnknownCalls,
  type ModelCallRequest,
} from '#libs/openai-gateway';
import { statement } from '#libs/postgres';
import { priceOfCharge } from '../../oracle/price-of-charge.js';
import { startApp, type AppProcess } from '../../support/app-process.js';
import { GO, type CallingOrder } from '../../support/calling-process.js';
import { anOwner, aRequest, gatewayFixture, until } from '../../support/gateway.js';

const fixture = gatewayFixture();
const { script, rowOf, chargesOf } = fixture;

/** What OpenAI would bill for the call's newest sending, by a price list apart from Holdfast's. */
const billOf = (request: ModelCallRequest) => {
  const callId = callIdOf(request);
  const charge = fixture.simulator.charges().charges.findLast((each) => each.callId === callId);
  return charge && priceOfCharge(charge);
};
const withBudget = (runLimit: bigint | null, changes: Partial<ModelCallRequest> = {}) =>
  aRequest({
    budget: {
      workflow: 'answer',
      runLimit: runLimit === null ? null : nanoUsd(runLimit),
      triesByPolicy: 3,
    },
    ...changes,
  });
const moneyOf = async (request: ModelCallRequest) => {
  const row = await rowOf(request);
  const { state, reserved, cost, lost_sendings: lost, budgets } = row;
  return { state, reserved, cost, lost, budgets };
};
const spentOf = async (key: string) => {
  const { rows } = await fixture.database.query<{ spent: bigint }>(
    'SELECT spent FROM processor.budgets WHERE key = $1',
    [key],
  );
  return rows[0]?.spent ?? 0n;
};
/** The most that one call of `aRequest` may cost, as the ledger reserves it. */
let most: NanoUsd;
beforeAll(async () => {
  const request = withBudget(1_000_000_000n);
  await fixture.gateway().callModel(request, anOwner());
  most = nanoUsd((await moneyOf(request)).reserved as bigint);
});
const today = () => new Date().toISOString().slice(0, 10);

describe('a call', () => {
  it('without a budget has its cost booked all the same, and touches no budget', async () => {
    const request = withBudget(null);
    const outcome = await fixture.gateway().callModel(request, anOwner());
    expect(outcome.kind).toBe('completed');
    expect(await moneyOf(request)).toEqual({
      ...{ state: 'done', reserved: most, lost: 0, budgets: null },
      cost: billOf(request),
    });
  });

  it('within its budget is settled: what it did not use is free again', async () => {
    const request = withBudget(most);
    const outcome = await fixture.gateway().callModel(request, anOwner());
    expect(outcome.kind).toBe('completed');
    const cost = billOf(request);
    expect(await spentOf(`run/${request.runId}`)).toBe(cost);
    expect(cost).toBeLessThan(most);
  });

  it('that costs a nano-dollar more than is left is not sent, says so in words, and is sent once there is more', async () => {
    const request = withBudget(most - 1n);
    const counted: object[] = [];
    const metrics: Metrics = {
      add: (name, labels) => void counted.push({ name, ...labels }),
      observe: () => undefined,
    };
    const refused = await fixture.gateway({}, { metrics }).callModel(request, anOwner());
    expect(counted).toContainEqual({ name: 'holdfast_budget_refusals_total', budget: 'run' });
    expect(refused).toMatchObject({
      kind: 'failed',
      failure: { class: 'budget_exceeded', code: 'run_budget', paid: 'no' },
    });
    if (refused.kind !== 'failed') return;
    expect(refused.failure.message).toMatch(
      /^This call costs up to \$0\.\d+; \$0\.\d+ of the run's budget of \$0\.\d+ is left\. Tries of this call: 3 allowed by policy, 0 by budget\./,
    );
    expect(await moneyOf(request)).toMatchObject({ state: 'planned', reserved: 0n, cost: null });
    expect(chargesOf(request)).toBe(0);
    const raised = withBudget(most, { runId: request.runId });
    expect((await fixture.gateway().callModel(raised, anOwner())).kind).toBe('completed');
  });

  it('that OpenAI turns away costs nothing', async () => {
    const request = withBudget(most);
    script(request, { kind: 'status', status: 429, code: 'rate_limit_exceeded' });
    await fixture.gateway().callModel(request, anOwner());
    expect(await moneyOf(request)).toMatchObject({ state: 'failed', cost: 0n });
    expect(await spentOf(`run/${request.runId}`)).toBe(0n);
  });

  it.each([
    ['whose reply is lost', { kind: 'reset_after_charge' }, 'unknown'],
    ['that OpenAI has a fault with', { kind: 'status', status: 500 }, 'failed'],
    ['that OpenAI fails without a count', { kind: 'failed', code: 'server_error' }, 'failed'],
  ] as const)('%s keeps its reservation as uncertain', async (_what, fault, state) => {
    const request = withBudget(most);
    script(request, fault);
    await fixture.gateway().callModel(request, anOwner());
    expect(await moneyOf(request)).toMatchObject({ state, reserved: most, cost: null });
    expect(await spentOf(`run/${request.runId}`)).toBe(most);
  });

  it.each([
    ['nothing', null],
    ['what cannot be', { input_tokens: -5, output_tokens: 1e30, total_tokens: 0 }],
  ])(
    'whose response says %s of its usage keeps its reservation, and gives its result',
    async (_what, usage) => {
      const request = withBudget(most);
      script(request, { kind: 'usage', usage });
      expect((await fixture.gateway().callModel(request, anOwner())).kind).toBe('completed');
      expect(await moneyOf(request)).toMatchObject({ state: 'done', reserved: most, cost: null });
      expect(await spentOf(`run/${request.runId}`)).toBe(most);
    },
  );

  it('needs budget for a second sending as for the first, and both count', async () => {
    const resend = { whenUnknown: 'resend' } as const;
    const poor = withBudget(2n * most - 1n, resend);
    script(poor, { kind: 'reset_after_charge' });
    const refused = await fixture.gateway().callModel(poor, anOwner());
    expect(refused).toMatchObject({ failure: { class: 'budget_exceeded' } });
    expect(await spentOf(`run/${poor.runId}`)).toBe(most);
    const rich = withBudget(2n * most, resend);
    script(rich, { kind: 'reset_after_charge' });
    const outcome = await fixture.gateway().callModel(rich, anOwner());
    expect(outcome.kind).toBe('completed');
    expect(await moneyOf(rich)).toMatchObject({ state: 'done', reserved: most, lost: 1 });
    expect(await spentOf(`run/${rich.runId}`)).toBe(most + billOf(rich)!);
  });

  it('whose anchor tells that it never ran is free again: the second sending needs no more budget', async () => {
    const request = withBudget(most);
    script(request, { kind: 'reset_before_read' });
    const gateway = fixture.gateway({ anchorSettleMs: 20 }, { anchors: { for: 'all' } });
    const outcome = gateway.callModel(request, anOwner());
    await fixture.untilLost(request);
    await fixture.timePasses(request, request.callTimeoutMs);
    expect((await outcome).kind).toBe('completed');
    const bill = billOf(request)!;
    expect(await moneyOf(request)).toMatchObject({ state: 'done', cost: bill, lost: 0 });
    expect(await spentOf(`run/${request.runId}`)).toBe(bill);
  });

  it('whose answer is found on its anchor keeps its reservation as uncertain: OpenAI has told no count', async () => {
    const request = withBudget(most);
    script(request, { kind: 'reset_after_charge' });
    const gateway = fixture.gateway({}, { anchors: { for: 'all' } });
    expect((await gateway.callModel(request, anOwner())).kind).toBe('completed');
    expect(await moneyOf(request)).toMatchObject({ state: 'done', reserved: most, cost: null });
    expect(await spentOf(`run/${request.runId}`)).toBe(most);
  });

  it('that a redrive gave up needs budget beside the one that takes its place', async () => {
    const request = withBudget(2n * most - 1n);
    script(request, { kind: 'reset_after_charge' });
    await fixture.gateway().callModel(request, anOwner(1n));
    await fixture.database.transaction((tx) => giveUpUnknownCalls(tx, [request.runId]));
    const again = { ...request, try: request.try + 1 };
    const refused = await fixture.gateway().callModel(again, anOwner(2n));
    expect(refused).toMatchObject({ failure: { class: 'budget_exceeded' } });
    expect(await spentOf(`run/${request.runId}`)).toBe(most);
  });

  it('whose lease is gone before the first byte frees what was reserved', async () => {
    const request = withBudget(most);
    const owner = anOwner();
    const gateway = fixture.gateway({}, { afterTransaction: () => owner.loseLease() });
    expect((await gateway.callModel(request, owner)).kind).toBe('not_owner');
    expect(await moneyOf(request)).toEqual({
      ...{ state: 'planned', reserved: 0n, cost: null, lost: 0, budgets: null },
    });
    expect(await spentOf(`run/${request.runId}`)).toBe(0n);
  });

  it('is reserved for once where the answer to the commit is lost', async () => {
    const request = withBudget(most);
    let commits = 0;
    const afterTransaction = () => {
      commits += 1;
      if (commits > 1) return;
      throw Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' });
    };
    const outcome = await fixture.gateway({}, { afterTransaction }).callModel(request, anOwner());
    expect(outcome.kind).toBe('completed');
    expect(commits).toBe(2);
    expect(await spentOf(`run/${request.runId}`)).toBe(billOf(request));
  });

  it('whose run is claimed while its budget is awaited is seen as sent by who claims it', async () => {
    const request = withBudget(2n * most);
    const key = `run/${request.runId}`;
    await fixture.gateway().callModel({ ...request, item: 1 }, anOwner());
    const waiting = async () => {
      const { rows } = await fixture.database.query<{ n: number }>(
        'SELECT count(DISTINCT pid)::int AS n FROM pg_locks WHERE NOT granted',
      );
      return rows[0]!.n;
    };
    let seen: unknown;
    let claim: Promise<void> | undefined;
    let outcome: Promise<unknown> | undefined;
    await fixture.database.transaction(async (tx) => {
      await tx.query('SELECT FROM processor.budgets WHERE key = $1 FOR UPDATE', [key]);
      outcome = fixture.gateway().callModel(request, anOwner());
      await until('it waits for its budget', async () => (await waiting()) === 1);
      claim = fixture.database.transaction(async (taking) => {
        bumpFences(taking, [{ runId: request.runId, fence: 2n }]);
        const { rows } = await taking.query<{ state: string }>(
          'SELECT state FROM processor.calls WHERE call_id = $1',
          [callIdOf(request)],
        );
        seen = rows[0]?.state;
      });
      await until('the claim waits, or is through', async () => !!seen || (await waiting()) === 2);
    });
    await Promise.all([claim, outcome]);
    expect(seen).toBe('sending');
  });

  it('of a model that nobody has a price of is not sent, and the known ones are named', async () => {
    const request = withBudget(null, { model: 'gpt-99' });
    const outcome = await fixture.gateway().callModel(request, anOwner());
    expect(outcome).toMatchObject({
      failure: { class: 'configuration', code: 'model_price_unknown', paid: 'no' },
    });
    if (outcome.kind === 'failed') expect(outcome.failure.message).toContain('gpt-5.2');
    expect(chargesOf(request)).toBe(0);
  });

  it('of such a model is reserved at the ceiling, where there is one', async () => {
    const ceiling = { input: '100', cachedInput: '100', output: '1000' };
    const gateway = fixture.gateway({}, { prices: { unknownModels: ceiling } });
    const request = withBudget(null, { model: 'gpt-99' });
    expect((await gateway.callModel(request, anOwner())).kind).toBe('completed');
    const { reserved, cost } = await moneyOf(request);
    expect(reserved).toBeGreaterThan(400n * 1_000_000n);
    expect(cost).toBeLessThanOrEqual(reserved as bigint);
    expect(cost).toBeGreaterThan(0n);
  });
});

describe('budgets of a day', () => {
  it.each(['tenant', 'workflow'] as const)(
    'of a %s bound what all its runs spend',
    async (scope) => {
      const name = `${scope}-${randomUUID()}`;
      const limits = new Map([[name, nanoUsd(most)]]);
      const none = new Map<string, NanoUsd>();
      const dayBudgets = {
        tenants: scope === 'tenant' ? limits : none,
        workflows: scope === 'workflow' ? limits : none,
      };
      const request = () =>
        aRequest({
          tenant: scope === 'tenant' ? name : 'default',
          budget: {
            workflow: scope === 'workflow' ? name : 'answer',
            runLimit: null,
            triesByPolicy: 3,
          },
        });
      const gateway = fixture.gateway({}, { dayBudgets });
      expect((await gateway.callModel(request(), anOwner())).kind).toBe('completed');
      const cost = await spentOf(`${scope}/${today()}/${name}`);
      expect(cost).toBeGreaterThan(0n);
      const refused = await gateway.callModel(request(), anOwner());
      expect(refused).toMatchObject({
        failure: { code: `${scope}_budget`, class: 'budget_exceeded' },
      });
    },
  );

  it('count a second sending on the day of the first', async () => {
    const tenant = `tenant-${randomUUID()}`;
    const dayBudgets = {
      tenants: new Map([[tenant, nanoUsd(2n * most)]]),
      workflows: new Map<string, NanoUsd>(),
    };
    const gateway = fixture.gateway({}, { dayBudgets });
    const request = aRequest({ tenant });
    script(request, { kind: 'reset_after_charge' });
    await gateway.callModel(request, anOwner());
    const [first, second] = [`tenant/2026-01-15/${tenant}`, `tenant/${today()}/${tenant}`];
    await fixture.database.query('UPDATE processor.budgets SET key = $1 WHERE key = $2', [
      ...[first, second],
    ]);
    await fixture.database.query(
      'UPDATE processor.calls SET budgets = ARRAY[$1] WHERE call_id = $2',
      [...[first, callIdOf(request)]],
    );
    await gateway.callModel({ ...request, whenUnknown: 'resend' }, anOwner());
    expect(await spentOf(first)).toBe(most + billOf(request)!);
    expect(await spentOf(second)).toBe(0n);
  });
});

it.each(['run', 'tenant', 'workflow'] as const)(
  'a budget of zero for a %s lets nothing be sent',
  async (scope) => {
    const [name, zero] = [randomUUID(), nanoUsd(0n)];
    const limits = (of: typeof scope) =>
      new Map<string, NanoUsd>(scope === of ? [[name, zero]] : []);
    const dayBudgets = { tenants: limits('tenant'), workflows: limits('workflow') };
    const request = aRequest({
      tenant: name,
      budget: { workflow: name, runLimit: scope === 'run' ? zero : null, triesByPolicy: 3 },
    });
    const refused = await fixture.gateway({}, { dayBudgets }).callModel(request, anOwner());
    expect(refused).toMatchObject({
      failure: { class: 'budget_exceeded', code: `${scope}_budget` },
    });
  },
);

it('200 calls at once, over three processes, against a budget for 50: exactly what fits is sent, never a nano-dollar over', async () => {
  const name = `tenant-${randomUUID()}`;
  const limit = nanoUsd(50n * most + most - 1n);
  const runId = randomUUID();
  fixture.simulator.addFaults([
    { match: { runId }, fault: { kind: 'latency', ms: 4_000 }, times: 200 },
  ]);
  const requests = Array.from({ length: 200 }, (_, item) =>
    aRequest({ tenant: name, runId, item }),
  );
  const processes = await callingAtOnce(
    [0, 1, 2].map((nth): CallingOrder => {
      const { databaseUrl, simulator } = fixture;
      const own = requests.filter((_, index) => index % 3 === nth);
      const tenantBudgets = [[name, String(limit)]] as const;
      return { databaseUrl, baseUrl: simulator.baseUrl, tenantBudgets, requests: own };
    }),
  );
  await until('150 are refused', async () => (await sentBy(runId)).planned === 150n);
  expect(await sentBy(runId)).toEqual({ planned: 150n, sent: 50n });
  expect(await spentOf(`tenant/${today()}/${name}`)).toBe(50n * most);
  const told = await Promise.all(processes.map((app) => app.line(/^outcomes: /)));
  const count = (kind: string) =>
    told.reduce((sum, line) => sum + Number(new RegExp(`${kind}=(\\d+)`).exec(line)?.[1] ?? 0), 0);
  expect([count('completed'), count('failed')]).toEqual([50, 150]);
  expect(fixture.simulator.charges().byRunId[runId]).toBe(50);
  const { rows } = await fixture.database.query<{ cost: bigint }>(
    'SELECT sum(cost)::bigint AS cost FROM processor.calls WHERE run_id = $1',
    [runId],
  );
  expect(await spentOf(`tenant/${today()}/${name}`)).toBe(rows[0]?.cost);
});

/** Begun when all of them are ready. */
async function callingAtOnce(orders: readonly CallingOrder[]): Promise<AppProcess[]> {
  return fixture.database.transaction(async (tx) => {
    await tx.query(HOLD, [GO]);
    const script = 'test/support/calling-process.js';
    const processes = orders.map((order) =>
      startApp({ script, env: { ORDER: JSON.stringify(order) } }),
    );
    await Promise.all(processes.map((app) => app.ready()));
    return processes;
  });
}

const HOLD = statement('spec.hold', 'SELECT pg_advisory_xact_lock($1::bigint)::text');

const sentBy = async (runId: string) => {
  const { rows } = await fixture.database.query<{ planned: bigint; sent: bigint }>(
    `SELECT count(*) FILTER (WHERE state = 'planned') AS planned, count(*) FILTER (WHERE state <> 'planned') AS sent
     FROM processor.calls WHERE run_id = $1`,
    [runId],
  );
  return rows[0]!;
};
