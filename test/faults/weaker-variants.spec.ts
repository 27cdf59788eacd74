/**
 * Negative controls: readers, claims and callers that look right and are not, each beside what Holdfast does, in the one order of
 * events that tells them apart. The oracle must find the wrong ones, and nothing with the right ones.
 * Real: Postgres, Kafka's consumer group, the processor's stores, the gateway, HTTP. Stands in: a list for the events topic, in the
 * order of sending; the simulator for OpenAI, with its bill. The weaker variants exist in this file only.
 */
import { randomUUID } from 'node:crypto';
import { nanoUsd, printUsd, type NanoUsd } from '#libs/domain';
import type { Tx } from '#libs/postgres';
import { repairPrompt, type ModelPrompt } from '#libs/workflows';
import type { Claim } from '../../apps/processor/src/execute-runs/claim.js';
import { aRequest, anOwner, startGatewayFixture, type GatewayFixture } from '../support/gateway.js';
import { aMessage, kafkaStack, topicSpec } from '../integration/messaging/messaging-stack.js';
import {
  aWork,
  completed,
  openProcessorFixture,
  retryLater,
  type ProcessorFixture,
  type SpecProcessor,
} from '../integration/processor/processor-fixture.js';
import type { AttemptFact, CallFact, EventFact, Facts } from '../oracle/facts.js';
import { judge, type Rule } from '../oracle/judge.js';
import { mendedAnswers } from '../oracle/mended-answers.js';
import { priceOfCharge } from '../oracle/price-of-charge.js';

let processors: ProcessorFixture;
let gateways: GatewayFixture;
beforeAll(async () => {
  [processors, gateways] = await Promise.all([openProcessorFixture(), startGatewayFixture()]);
});
afterAll(async () => {
  await processors?.stop();
  await gateways?.stop();
});
beforeEach(() => processors.empty());

const nothing: Facts = {
  ...{ answers: [], views: [], executions: [], attempts: [], calls: [], charges: [], events: [] },
  ...{ effects: [], deliveries: [], spent: [], deadLetters: [], unpublished: 0, recoveriesMs: [] },
};
const rulesBrokenBy = (facts: Partial<Facts>): Rule[] => [
  ...new Set(judge({ ...nothing, ...facts }).map(({ rule }) => rule)),
];

/** What a run has come to in the processor's tables and outbox; the api and the consumer outside have seen all of it. */
async function factsOf(runId: string): Promise<Partial<Facts>> {
  const { status, version } = await processors.row(runId);
  const events = await processors.events(runId);
  const attempts = await processors.sql<AttemptFact>(
    `SELECT run_id::text AS "runId", fence::text, dispatch, outcome FROM processor.attempts WHERE run_id = $1`,
    [runId],
  );
  return {
    ...{ attempts, events: events.map((event) => ({ ...event, runId })) },
    answers: [{ key: 'k', runId }],
    views: [{ runId, key: 'k', status, version }],
    executions: [{ runId, status, version, failureClass: null }],
  };
}

describe('a relay that reads', () => {
  interface Row {
    readonly seq: bigint;
    readonly run: string;
    readonly version: number;
  }
  /** Stands for the topic. */
  let log: Row[];
  const runs = ['a', 'b'];

  beforeEach(async () => {
    log = [];
    await processors.sql(`CREATE TABLE IF NOT EXISTS public.weak_outbox (
      seq bigserial PRIMARY KEY, run text NOT NULL, version int NOT NULL)`);
    await processors.sql(`TRUNCATE public.weak_outbox`);
  });

  const append = (tx: Pick<Tx, 'query'>, run: string, version: number) =>
    tx.query(`INSERT INTO public.weak_outbox (run, version) VALUES ($1, $2)`, [run, version]);
  const read = (where = 'true') =>
    processors.sql<Row>(`SELECT * FROM public.weak_outbox WHERE ${where} ORDER BY seq`);
  const remove = (where: string) => processors.sql(`DELETE FROM public.weak_outbox WHERE ${where}`);
  const these = (rows: readonly Row[]) => `seq IN (${rows.map(({ seq }) => seq).join(', ')})`;
  const send = (rows: readonly Row[]) => void log.push(...rows);

  /** Run a's transaction draws its number first; b's commits; then `meanwhile`; a's commits in it or at its end. */
  async function whileACommitsLate(meanwhile: () => Promise<void>): Promise<void> {
    const committing = Promise.withResolvers<void>();
    const drawn = Promise.withResolvers<void>();
    const late = processors.database.transaction(async (tx) => {
      await append(tx, 'a', 1);
      drawn.resolve();
      await committing.promise;
    });
    await drawn.promise;
    await append(processors.database, 'b', 1);
    commitA = async () => {
      committing.resolve();
      await late;
    };
    await meanwhile();
    await commitA();
  }
  let commitA: () => Promise<void>;

  /** As if each event had put its run before a person: what is lost and what is out of order shows all the same. */
  async function broken(): Promise<Rule[]> {
    const status = 'needs_review';
    const executions = runs.map((runId) => {
      return { runId, status, version: 1, failureClass: 'internal' };
    });
    return rulesBrokenBy({
      executions,
      answers: runs.map((run) => ({ key: run, runId: run })),
      views: executions.map((run) => ({ ...run, key: run.runId })),
      deadLetters: runs,
      events: log.map(({ run, version }): EventFact => {
        return { id: `${run}-${version}`, runId: run, version, name: 'RunNeedsReview', status };
      }),
      unpublished: (await read()).length,
    });
  }

  it('a prefix, and deletes what it sent: finds the row that was committed late', async () => {
    const cycle = async () => {
      const rows = await read();
      send(rows);
      if (rows.length > 0) await remove(these(rows));
    };
    await whileACommitsLate(cycle);
    await cycle();
    expect(await broken()).toEqual([]);
  });

  it('ids greater than the last seen: loses the row that was committed late', async () => {
    let last = 0n;
    const cycle = async () => {
      const rows = await read(`seq > ${last}`);
      send(rows);
      if (rows.length > 0) await remove(these(rows));
      last = rows.at(-1)?.seq ?? last;
    };
    await whileACommitsLate(cycle);
    await cycle();
    expect(await broken()).toEqual(expect.arrayContaining(['lost', 'unpublished']));
  });

  it('in one snapshot and deletes in another: deletes what it never sent', async () => {
    await whileACommitsLate(async () => {
      const rows = await read();
      send(rows);
      await commitA();
      await remove(`seq <= ${rows.at(-1)!.seq}`);
    });
    expect(await broken()).toContain('lost');
  });

  it('and deletes before the acknowledgement: loses what it had in hand when it died', async () => {
    await append(processors.database, 'a', 1);
    await append(processors.database, 'b', 1);
    const rows = await read();
    await remove(these(rows));
    send(rows.slice(1)); // killed while it was sending
    expect(await broken()).toContain('lost');
  });

  it('beside another one with SKIP LOCKED: one run’s events change places', async () => {
    await append(processors.database, 'b', 1);
    await append(processors.database, 'a', 1);
    await append(processors.database, 'a', 2);
    const next = `SELECT * FROM public.weak_outbox ORDER BY seq LIMIT 2 FOR UPDATE SKIP LOCKED`;
    await processors.database.transaction(async (first) => {
      const slow = (await first.query<Row>(next)).rows;
      await processors.database.transaction(async (second) =>
        send((await second.query<Row>(next)).rows),
      );
      send(slow);
    });
    await remove('true');
    expect(await broken()).toContain('out_of_order');
  });
});

describe('an owner that comes back after its lease', () => {
  let late: SpecProcessor;
  let other: SpecProcessor;
  let runId: string;
  let lost: Claim;
  let held: Claim;

  beforeEach(async () => {
    [late, other] = [processors.processor('late'), processors.processor('other')];
    runId = randomUUID();
    await late.admit.admit(aWork({ runId }));
    lost = (await late.claims.claim(1))[0]!;
    await processors.expire(runId);
    await other.rescue.rescueExpired();
    held = (await other.claims.claim(1))[0]!;
  });

  it('and writes under its fence changes nothing', async () => {
    expect(await late.moves.move(lost, completed)).toBe('lost');
    expect(await other.moves.move(held, completed)).not.toBe('lost');
    expect(rulesBrokenBy(await factsOf(runId))).toEqual([]);
  });

  it('and writes without the fence commits a second outcome', async () => {
    await other.moves.move(held, completed);
    await processors.database.transaction(async (tx) => {
      await tx.query(
        `UPDATE processor.executions SET status = 'completed', version = version + 1 WHERE run_id = $1`,
        [runId],
      );
      await tx.query(
        `UPDATE processor.attempts SET outcome = 'completed' WHERE run_id = $1 AND fence = $2`,
        [runId, lost.fence],
      );
    });
    const told = (await factsOf(runId)).events!;
    const second = { ...told.at(-1)!, id: randomUUID(), version: told.length + 1 };
    const facts = { ...(await factsOf(runId)), events: [...told, second] };
    expect(rulesBrokenBy(facts)).toEqual(expect.arrayContaining(['two_owners', 'ends_twice']));
  });
});

describe('a message that comes again', () => {
  let runId: string;
  let one: SpecProcessor;
  beforeEach(() => {
    [runId, one] = [randomUUID(), processors.processor('one')];
  });

  it('is found in the inbox: one claim, one outcome', async () => {
    for (let delivery = 1; delivery <= 2; delivery += 1) await one.admit.admit(aWork({ runId }));
    const [claim, ...others] = await one.claims.claim(5);
    await one.moves.move(claim!, completed);
    expect(others).toEqual([]);
    expect(rulesBrokenBy(await factsOf(runId))).toEqual([]);
  });

  it('where no inbox is asked is carried out a second time', async () => {
    const attempts: AttemptFact[] = [];
    const events: EventFact[] = [];
    const carryOut = ({ dispatch }: { readonly dispatch: number }) => {
      const version = events.length + 1;
      attempts.push({ runId, fence: String(version), dispatch, outcome: 'completed' });
      const told = { runId, version, name: 'RunCompleted', status: 'completed' };
      events.push({ ...told, id: randomUUID() });
    };
    for (let delivery = 1; delivery <= 2; delivery += 1) carryOut(aWork({ runId }));
    expect(rulesBrokenBy({ attempts, events })).toEqual(['two_owners', 'ends_twice']);
  });

  it('while the run waits for its retry is stale: the run keeps its time', async () => {
    await waitingForItsRetry();
    await one.admit.admit(aWork({ runId }));
    expect(await one.claims.claim(1)).toEqual([]);
  });

  it('and is admitted by the state alone, whatever its dispatch, starts the retry before its time', async () => {
    await waitingForItsRetry();
    await processors.sql(
      `UPDATE processor.executions SET status = 'ready', next_attempt_at = NULL WHERE run_id = $1 AND status = 'retrying'`,
      [runId],
    );
    const [claim] = await one.claims.claim(1);
    await one.moves.move(claim!, completed);
    expect(rulesBrokenBy(await factsOf(runId))).toEqual(['early']);
  });

  async function waitingForItsRetry(): Promise<void> {
    await one.admit.admit(aWork({ runId }));
    const [claim] = await one.claims.claim(1);
    await one.moves.move(claim!, retryLater(60_000));
  }
});

it('a consumer that commits the offset before it admits loses the run that it had in hand when it died', async () => {
  const topic = 'spec.work.v1';
  const kafka = await kafkaStack([topicSpec(topic, 1)]);
  const groupId = kafka.kafka.groupName('weak');
  const admitted: string[] = [];
  const runs = ['a', 'b'];
  await kafka.send(topic, [aMessage('a')]);
  try {
    const dying = await join((run, commit) => commit().then(() => run)); // and dies before it admits
    await kafka.send(topic, [aMessage('b')]);
    const living = await join(async (run, commit) => {
      admitted.push(run);
      await commit();
      return run;
    });
    expect([dying, living]).toEqual(runs);
    const executions = admitted.map((runId) => {
      return { runId, status: 'completed', version: 0, failureClass: null };
    });
    const answers = runs.map((run) => ({ key: run, runId: run }));
    expect(judge({ ...nothing, answers, executions })).toContainEqual(
      expect.objectContaining({
        rule: 'lost',
        subject: 'a',
        what: expect.stringContaining('processor') as string,
      }),
    );
  } finally {
    await kafka.close();
  }

  /** Joins the group, takes one record, and leaves it as a dead process would. */
  async function join(
    take: (run: string, commit: () => Promise<void>) => Promise<string>,
  ): Promise<string> {
    const consumer = kafka.kafka.newClient().consumer({ groupId });
    const taken = Promise.withResolvers<string>();
    await consumer.connect();
    await consumer.subscribe({ topics: [kafka.kafka.topicName(topic)], fromBeginning: true });
    await consumer.run({
      autoCommit: false,
      eachMessage: async ({ topic: name, partition, message }) => {
        const offset = String(BigInt(message.offset) + 1n);
        const commit = () => consumer.commitOffsets([{ topic: name, partition, offset }]);
        taken.resolve(await take(String(message.key), commit));
      },
    });
    const run = await taken.promise;
    await consumer.disconnect();
    return run;
  }
});

describe('a call', () => {
  const request = () => aRequest({ whenUnknown: 'hold' });

  it('whose reply was lost and that is held is paid once', async () => {
    const first = request();
    gateways.simulator.addFaults([
      { match: { runId: first.runId }, fault: { kind: 'reset_after_charge' } },
    ]);
    const gateway = gateways.gateway();
    await gateway.callModel(first, anOwner(1n));
    const again = await gateway.callModel(first, anOwner(2n));
    expect(again).toMatchObject({ kind: 'failed', failure: { class: 'outcome_unknown' } });
    expect(rulesBrokenBy(await billOf(first.runId))).toEqual([]);
  });

  it('whose reply was lost and that is sent again as a new try is paid twice', async () => {
    const first = request();
    gateways.simulator.addFaults([
      { match: { runId: first.runId }, fault: { kind: 'reset_after_charge' } },
    ]);
    const gateway = gateways.gateway();
    await gateway.callModel(first, anOwner(1n));
    await gateway.callModel({ ...first, try: first.try + 1 }, anOwner(2n));
    expect(rulesBrokenBy(await billOf(first.runId))).toEqual(['paid_twice']);
  });

  it('of two claims that stand before the same planned call only the one with the newer fence sends it', async () => {
    expect(await chargedByTwoClaims(1n, 2n)).toEqual([]);
  });

  it('of a claim that did not raise the fence both send it', async () => {
    expect(await chargedByTwoClaims(1n, 1n)).toEqual(['paid_twice', 'misbooked']);
  });

  /**
   * Both read the call as planned before either of them sends, and whoever may send does so before another has heard of his response.
   * OpenAI answers at once: whose response is not the one that is followed cancels it, and what is cancelled before its end tells no
   * usage, or costs nothing while it is queued.
   */
  async function chargedByTwoClaims(...fences: readonly [bigint, bigint]): Promise<Rule[]> {
    const planned = request();
    const match = { runId: planned.runId };
    gateways.simulator.addFaults([{ match, fault: { kind: 'latency', ms: 0 }, times: 'always' }]);
    const gone = anOwner(1n);
    gone.loseLease();
    await gateways.gateway().callModel(planned, gone);
    const newest = fences.filter((fence) => fence === fences.at(-1));
    const [haveRead, haveMarked] = [allOf(fences.length), allOf(newest.length)];
    const send = (fence: bigint) => {
      const around = {
        'gateway.open_sending': andThen(haveRead),
        ...(newest.includes(fence) && { 'gateway.mark_sending': andThen(haveMarked) }),
      };
      return gateways.gateway({}, { around }).callModel(planned, anOwner(fence));
    };
    await Promise.all(fences.map(send));
    return rulesBrokenBy(await billOf(planned.runId));
  }

  /** Resolves for each of them once so many have come. */
  function allOf(count: number): () => Promise<void> {
    const all = Promise.withResolvers<void>();
    let come = 0;
    return () => {
      come += 1;
      if (come === count) all.resolve();
      return all.promise;
    };
  }

  function andThen(wait: () => Promise<void>) {
    return async (run: () => Promise<unknown>) => {
      const answer = await run();
      await wait();
      return answer;
    };
  }

  describe('of forty at once, of a run whose budget is for one', () => {
    const runId = () => randomUUID();
    const calls = (run: string, runLimit: NanoUsd) =>
      Array.from({ length: 40 }, (_, item) =>
        aRequest({ runId: run, item, budget: { workflow: 'answer', runLimit, triesByPolicy: 5 } }),
      );

    it('is sent where the budget is reserved from under its lock: never more than fits', async () => {
      const [run, limit] = [runId(), await limitForOne()];
      const owner = anOwner();
      const twoProcesses = [gateways.gateway(), gateways.gateway()];
      await Promise.all(
        calls(run, limit).map((each, at) => twoProcesses[at % 2]!.callModel(each, owner)),
      );
      expect(rulesBrokenBy(await billOf(run, limit))).toEqual([]);
    });

    it('is sent by whoever reads what is left, and reserves afterwards: the budget is exceeded', async () => {
      const [run, limit] = [runId(), await limitForOne()];
      const owner = anOwner();
      const gateway = gateways.gateway();
      const left = limit - (await countedOf(run));
      await Promise.all(
        calls(run, limit).map(async (each) => {
          if (left > 0n)
            await gateway.callModel({ ...each, budget: { ...each.budget, runLimit: null } }, owner);
        }),
      );
      expect(rulesBrokenBy(await billOf(run, limit))).toEqual(['overspent']);
    });

    const countedOf = async (run: string) => {
      const { calls: rows = [] } = await billOf(run);
      return rows.reduce((sum, { reserved }) => sum + reserved, 0n);
    };
    async function limitForOne(): Promise<NanoUsd> {
      const probe = aRequest();
      await gateways.gateway().callModel(probe, anOwner());
      return nanoUsd(await countedOf(probe.runId));
    }
  });

  describe('that mends an answer which broke its contract', () => {
    const prompt: ModelPrompt = {
      ...{ model: 'gpt-5.2', instructions: 'Answer in JSON.', input: 'What is due?' },
      ...{ maxOutputTokens: 400, callTimeoutMs: 60_000 },
      mode: 'background',
      whenUnknown: 'hold',
    };
    /** A call whose answer is spoilt, and the one that mends it. */
    async function broken() {
      const asked = aRequest({ ...prompt, runId: randomUUID() });
      const text = 'no JSON at all';
      gateways.simulator.addFaults([
        { match: { runId: asked.runId }, fault: { kind: 'text', text } },
      ]);
      await gateways.gateway().callModel(asked, anOwner());
      const { input } = repairPrompt(prompt, { text, problems: ['it is no JSON'] });
      return { ...asked, input, try: asked.try + 1 };
    }

    it('is sent under its own try, whoever asks again: it is paid once beside the first', async () => {
      const mending = await broken();
      for (let owner = 1n; owner <= 3n; owner += 1n)
        await gateways.gateway().callModel(mending, anOwner(owner));
      const facts = await billOf(mending.runId);
      expect(facts.charges).toHaveLength(2);
      expect(rulesBrokenBy(facts)).toEqual([]);
    });

    it('is sent under a new try by each owner that finds a broken answer: it is paid twice', async () => {
      const mending = await broken();
      await gateways.gateway().callModel(mending, anOwner());
      await gateways.gateway().callModel({ ...mending, try: mending.try + 1 }, anOwner(2n));
      expect(rulesBrokenBy(await billOf(mending.runId))).toEqual(['paid_twice']);
    });

    it('asks the same again instead: nothing is mended, and it is paid twice', async () => {
      const mending = await broken();
      await gateways.gateway().callModel({ ...mending, input: prompt.input }, anOwner());
      expect(rulesBrokenBy(await billOf(mending.runId))).toEqual(['paid_twice']);
    });
  });

  /** As the api would have it, told by a processor that tells what the ledger says. */
  function spentOn(runId: string, calls: readonly CallFact[]): Facts['spent'][number] {
    const booked = calls.reduce((sum, { cost }) => sum + (cost ?? 0n), 0n);
    const uncertain = calls.reduce(
      (sum, { cost, reserved, lostSendings }) =>
        sum + reserved * BigInt(lostSendings) + (cost === null ? reserved : 0n),
      0n,
    );
    return { runId, booked, uncertain };
  }

  async function billOf(runId: string, limit?: NanoUsd): Promise<Partial<Facts>> {
    const mended = mendedAnswers(gateways.simulator.spoilt());
    const charges = gateways.simulator.charges().charges.flatMap((charge) => {
      const price = priceOfCharge(charge);
      const mends = mended.get(charge.responseId) ?? null;
      return charge.runId === runId ? [{ callId: charge.callId ?? '', runId, price, mends }] : [];
    });
    const { rows } = await gateways.database.query<CallFact>(
      `SELECT call_id::text AS "callId", run_id::text AS "runId", step, item, state, false AS "possibleDuplicate",
         reserved, cost, lost_sendings AS "lostSendings", usage_estimated AS "usageEstimated"
       FROM processor.calls WHERE run_id = $1`,
      [runId],
    );
    if (limit === undefined) return { charges, calls: rows };
    const run = { runId, status: 'completed', version: 1 };
    return {
      ...{ charges, calls: rows, views: [{ ...run, key: null }], spent: [spentOn(runId, rows)] },
      events: [{ ...run, id: 'end', name: 'RunCompleted' }],
      executions: [{ ...run, failureClass: null, maxCostUsd: printUsd(limit) }],
    };
  }
});
