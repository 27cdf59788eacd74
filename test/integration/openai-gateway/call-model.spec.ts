/**
 * What the gateway promises about a model call that goes well, is asked for twice, or loses its owner.
 * Real: Postgres, HTTP, the openai SDK, undici. Stands in: OpenAI (dev/simulator).
 */
import { bumpFences, callIdOf, stopCalls, type ModelCallRequest } from '#libs/openai-gateway';
import type { Tx } from '#libs/postgres';
import { anOwner, aRequest, gatewayFixture, until } from '../../support/gateway.js';

const fixture = gatewayFixture();
const { sentOf, chargesOf } = fixture;

describe.each(['background', 'foreground'] as const)('a call in %s mode', (mode) => {
  it('completes with its output, usage, ids and the snapshot that answered', async () => {
    const request = aRequest({ mode });
    const outcome = await fixture.gateway().callModel(request, anOwner());
    expect(outcome).toMatchObject({
      kind: 'completed',
      callId: callIdOf(request),
      output: { kind: 'text' },
      model: 'gpt-5.2-2026-01-15',
      reused: false,
    });
    if (outcome.kind !== 'completed') return;
    expect(outcome.output.text).toContain('What keeps the sky');
    expect(outcome.usage.totalTokens).toBe(outcome.usage.inputTokens + outcome.usage.outputTokens);
    expect(outcome.responseId).toMatch(/^resp_/);
    expect(outcome.requestId).toMatch(/^req_/);
    expect(await fixture.ledgerRow(outcome.callId)).toMatchObject({
      state: 'done',
      attempt_count: 1,
      possible_duplicate: false,
      response_id: outcome.responseId,
    });
  });

  it('is paid once when it is asked for again, by anyone, and answers the same', async () => {
    const request = aRequest({ mode });
    const first = await fixture.gateway().callModel(request, anOwner(1n));
    const second = await fixture.gateway().callModel(request, anOwner(2n));
    expect(second).toEqual({ ...first, reused: true });
    expect(chargesOf(request)).toBe(1);
  });

  it('is paid once when it is asked for many times at once', async () => {
    const request = aRequest({ mode });
    const gateway = fixture.gateway();
    const owner = anOwner();
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, () => gateway.callModel(request, owner)),
    );
    expect(outcomes.map((outcome) => outcome.kind)).toEqual(Array(20).fill('completed'));
    expect(chargesOf(request)).toBe(1);
  });

  it('keeps output that Postgres text cannot hold', async () => {
    const request = aRequest({ mode });
    const text = 'nul \u0000 and a lone surrogate \ud800 and "quotes"';
    fixture.simulator.addFaults([
      { match: { runId: request.runId }, fault: { kind: 'text', text } },
    ]);
    const first = await fixture.gateway().callModel(request, anOwner());
    const again = await fixture.gateway().callModel(request, anOwner());
    expect(first).toMatchObject({ kind: 'completed', output: { kind: 'text', text } });
    expect(again).toMatchObject({ reused: true, output: { kind: 'text', text } });
  });

  it('delivers a refusal and filtered content as results, which were paid for', async () => {
    const refused = aRequest({ mode });
    const filtered = aRequest({ mode });
    fixture.simulator.addFaults([
      { match: { runId: refused.runId }, fault: { kind: 'refusal', text: 'I will not.' } },
      {
        match: { runId: filtered.runId },
        fault: { kind: 'incomplete', reason: 'content_filter' },
      },
    ]);
    const gateway = fixture.gateway();
    expect(await gateway.callModel(refused, anOwner())).toMatchObject({
      kind: 'completed',
      output: { kind: 'refusal', text: 'I will not.' },
    });
    expect(await gateway.callModel(filtered, anOwner())).toMatchObject({
      kind: 'completed',
      output: { kind: 'refusal' },
    });
  });

  it('answers in the shape that was asked for', async () => {
    const schema = {
      type: 'object',
      properties: { verdict: { type: 'string', enum: ['yes', 'no'] } },
      required: ['verdict'],
      additionalProperties: false,
    };
    const request = aRequest({ mode, output: { name: 'verdict', schema } });
    const outcome = await fixture.gateway().callModel(request, anOwner());
    expect(outcome).toMatchObject({ kind: 'completed' });
    if (outcome.kind !== 'completed') return;
    expect(['yes', 'no']).toContain(
      (JSON.parse(outcome.output.text) as { verdict: string }).verdict,
    );
  });
});

it('tells OpenAI in the metadata which call, run and sending a response belongs to', async () => {
  const request = aRequest();
  const outcome = await fixture.gateway().callModel(request, anOwner());
  expect(outcome).toMatchObject({ kind: 'completed' });
  if (outcome.kind !== 'completed') return;
  expect(fixture.simulator.find(outcome.responseId ?? '')?.request).toMatchObject({
    metadata: { call_id: outcome.callId, run_id: request.runId, attempt: '1' },
    background: true,
    store: true,
    max_output_tokens: 400,
  });
});

describe('a call whose owner goes away', () => {
  it('is picked up by its response id after it was accepted, and paid once', async () => {
    const request = aRequest();
    const callId = callIdOf(request);
    const first = anOwner(1n);
    const around = {
      'gateway.mark_accepted': async (run: () => Promise<unknown>) => {
        const answer = await run();
        first.stop();
        return answer;
      },
    };
    const before = fixture.gateway({}, { around }).callModel(request, first);
    expect(await before).toEqual({ kind: 'aborted' });

    const after = await fixture.gateway().callModel(request, anOwner(2n));
    expect(after).toMatchObject({ kind: 'completed', callId, reused: false });
    expect(chargesOf(request)).toBe(1);
    expect(sentOf(request)).toBe(1);
  });

  it.each(['background', 'foreground'] as const)(
    'is held when it died inside sending (%s): nothing is sent again',
    async (mode) => {
      const request = aRequest({ mode });
      const callId = callIdOf(request);
      fixture.simulator.addFaults([
        { match: { runId: request.runId }, fault: { kind: 'hang', ms: 60_000 } },
      ]);
      const dying = anOwner(1n);
      const before = fixture.gateway({ requestTimeoutMs: 60_000 }).callModel(request, dying);
      await until('sent', () => sentOf(request) === 1);
      dying.stop(); // the process is gone: nobody will write down what comes of it

      expect(await before).toEqual({ kind: 'aborted' });
      const after = await fixture.gateway().callModel(request, anOwner(2n));
      expect(after).toMatchObject({
        kind: 'failed',
        failure: { class: 'outcome_unknown', code: 'sender_died', paid: 'maybe' },
      });
      expect(await fixture.ledgerRow(callId)).toMatchObject({ state: 'unknown' });
      expect(await fixture.gateway().callModel(request, anOwner(3n))).toEqual(after);
      expect(sentOf(request)).toBe(1);
      expect(chargesOf(request)).toBe(1);
    },
  );

  it('is unknown once its run is to end, where nobody can be asked what became of it', async () => {
    const request = aRequest();
    fixture.simulator.addFaults([
      { match: { runId: request.runId }, fault: { kind: 'hang', ms: 60_000 } },
    ]);
    const dying = anOwner(1n);
    const before = fixture.gateway({ requestTimeoutMs: 60_000 }).callModel(request, dying);
    await until('sent', () => sentOf(request) === 1);
    dying.stop();
    expect(await before).toEqual({ kind: 'aborted' });
    const { signal } = new AbortController();
    const closed = await fixture.gateway().closeCalls(request.runId, signal);
    expect(closed).toEqual({ closed: 0, leftOpen: 1 });
    expect(await fixture.rowOf(request)).toMatchObject({
      ...{ state: 'unknown', failure: { code: 'sender_died' } },
    });
  });

  it('is still open once its run is to end, where OpenAI does not confirm the cancel', async () => {
    const request = aRequest();
    const match = { runId: request.runId };
    const refused = { kind: 'status', status: 500 } as const;
    fixture.simulator.addFaults([
      { match, fault: { kind: 'latency', ms: 60_000 } },
      { match: { ...match, operation: 'cancel' }, fault: refused, times: 'always' },
    ]);
    const owner = anOwner(1n);
    const before = fixture.gateway().callModel(request, owner);
    await until('accepted', async () => (await fixture.rowOf(request)).state === 'accepted');
    owner.stop();
    await before;
    const { signal } = new AbortController();
    const gateway = fixture.gateway({ cancelGraceMs: 200 });
    expect(await gateway.closeCalls(request.runId, signal)).toEqual({ closed: 0, leftOpen: 1 });
    expect(await fixture.rowOf(request)).toMatchObject({ state: 'accepted' });
  });

  it('is not lost when its reply comes after the owner was stopped: the next owner finds it', async () => {
    const request = aRequest();
    fixture.simulator.addFaults([
      { match: { runId: request.runId }, fault: { kind: 'hang', ms: 60_000 } },
    ]);
    const gateway = fixture.gateway();
    const first = anOwner(1n);
    const before = gateway.callModel(request, first);
    await until('sent', () => sentOf(request) === 1);
    first.stop();
    expect(await before).toEqual({ kind: 'aborted' });
    const next = gateway.callModel(request, anOwner(2n));
    fixture.simulator.finish();
    expect(await next).toMatchObject({ kind: 'completed' });
    expect(chargesOf(request)).toBe(1);
  });

  it('takes a reply that arrives after the call was given up as unknown', async () => {
    const request = aRequest();
    const callId = callIdOf(request);
    fixture.simulator.addFaults([
      { match: { runId: request.runId }, fault: { kind: 'hang', ms: 60_000 } },
    ]);
    const slow = anOwner(1n);
    void fixture.gateway().callModel(request, slow);
    await until('sent', () => sentOf(request) === 1);
    expect(await fixture.gateway().callModel(request, anOwner(2n))).toMatchObject({
      kind: 'failed',
      failure: { class: 'outcome_unknown' },
    });
    fixture.simulator.finish();
    await until('done', async () => (await fixture.ledgerRow(callId)).state === 'done');
    expect(await fixture.gateway().callModel(request, anOwner(3n))).toMatchObject({
      kind: 'completed',
    });
    expect(chargesOf(request)).toBe(1);
  });
});

const plan = (request: ModelCallRequest) =>
  fixture.database.query(
    `INSERT INTO processor.calls (call_id, tenant, run_id, step, item, try, fence, mode, model)
     VALUES ($1, 'default', $2, $3, $4, $5, 1, 'background', 'gpt-5.2')`,
    [callIdOf(request), request.runId, request.step, request.item, request.try],
  );

it.each(['open_sending', 'mark_sending', 'mark_accepted', 'end_calls'])(
  'sends once and completes when the answer to gateway.%s is lost after its commit',
  async (which) => {
    const name = `gateway.${which}`;
    const request = aRequest();
    if (which === 'mark_sending') await plan(request); // a new call is made in that state
    let lost = 0;
    const around = {
      [name]: async (run: () => Promise<unknown>) => {
        const answer = await run();
        if (lost > 0) return answer;
        lost += 1;
        throw Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' });
      },
    };
    const outcome = await fixture.gateway({}, { around }).callModel(request, anOwner());
    expect(outcome).toMatchObject({ kind: 'completed', reused: false });
    expect(lost).toBe(1);
    expect(sentOf(request)).toBe(1);
    expect(chargesOf(request)).toBe(1);
  },
);

describe('an owner that has lost the run', () => {
  it('sends nothing under an older fence', async () => {
    const request = aRequest();
    const callId = callIdOf(request);
    await fixture.gateway().callModel({ ...request, try: 2 }, anOwner(1n)); // another call of the run
    await plan(request);
    await fixture.database.transaction((tx) =>
      bumpFences(tx, [{ runId: request.runId, fence: 7n }]),
    );
    expect(await fixture.gateway().callModel(request, anOwner(1n))).toEqual({ kind: 'not_owner' });
    expect(sentOf(request)).toBe(0);
    expect(await fixture.ledgerRow(callId)).toMatchObject({ state: 'planned', fence: 7n });
  });

  it('sends nothing of a call that nobody has opened before, once the run was taken from it', async () => {
    const request = aRequest();
    await fixture.database.transaction((tx) =>
      bumpFences(tx, [{ runId: request.runId, fence: 2n }]),
    );
    expect(await fixture.gateway().callModel(request, anOwner(1n))).toEqual({ kind: 'not_owner' });
    expect(sentOf(request)).toBe(0);
    const next = await fixture.gateway().callModel(request, anOwner(2n));
    expect(next).toMatchObject({ kind: 'completed' });
    expect(chargesOf(request)).toBe(1);
  });

  it.each<[string, (tx: Tx, runId: string) => Promise<void>]>([
    ['was claimed', (tx, runId) => Promise.resolve(bumpFences(tx, [{ runId, fence: 2n }]))],
    ['is to be cancelled', (tx, runId) => stopCalls(tx, [runId])],
  ])(
    'sends nothing when the run %s before it hears that a new call may leave',
    async (_, change) => {
      const request = aRequest();
      let lost = 0;
      const around = {
        'gateway.open_sending': async (run: () => Promise<unknown>) => {
          const answer = await run();
          if (lost++ > 0) return answer;
          await fixture.database.transaction((tx) => change(tx, request.runId));
          throw Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' });
        },
      };
      const outcome = await fixture.gateway({}, { around }).callModel(request, anOwner(1n));
      expect(outcome.kind).not.toBe('completed');
      expect(sentOf(request)).toBe(0);
    },
  );

  it('sends nothing when another processor claims the run between planning and sending', async () => {
    const request = aRequest();
    const callId = callIdOf(request);
    await plan(request);
    const claim = () =>
      fixture.database.transaction((tx) => bumpFences(tx, [{ runId: request.runId, fence: 2n }]));
    const around = {
      'gateway.mark_sending': async (run: () => Promise<unknown>) => {
        await claim();
        return run();
      },
    };
    const outcome = await fixture.gateway({}, { around }).callModel(request, anOwner(1n));
    expect(outcome).toEqual({ kind: 'not_owner' });
    expect(sentOf(request)).toBe(0);
    expect(await fixture.ledgerRow(callId)).toMatchObject({ state: 'planned', fence: 2n });
  });

  it('sends nothing when its lease has run out while `sending` was written, and leaves the call as it was', async () => {
    const request = aRequest();
    const callId = callIdOf(request);
    let looks = 0;
    const outcome = await fixture.gateway().callModel(request, {
      ...anOwner(1n),
      isLeaseAlive: () => (looks += 1) < 2,
    });
    expect(outcome).toEqual({ kind: 'not_owner' });
    expect(sentOf(request)).toBe(0);
    expect(await fixture.ledgerRow(callId)).toMatchObject({ state: 'planned', attempt_count: 0 });
    expect(await fixture.gateway().callModel(request, anOwner(2n))).toMatchObject({
      kind: 'completed',
    });
  });

  it('sends nothing once a cancel is requested', async () => {
    const request = aRequest();
    const callId = callIdOf(request);
    await fixture.database.query(
      `INSERT INTO processor.calls (call_id, tenant, run_id, step, item, try, fence, mode, model, cancel_requested)
       VALUES ($1, 'default', $2, 0, 0, 1, 1, 'background', 'gpt-5.2', true)`,
      [callId, request.runId],
    );
    expect(await fixture.gateway().callModel(request, anOwner(1n))).toEqual({ kind: 'stopped' });
    expect(sentOf(request)).toBe(0);
  });
});
