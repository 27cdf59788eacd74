/**
 * One model step over takeovers and redrives: which calls are made, how each is put, and that nothing is asked for more often than
 * the step allows. Real: Postgres, the processor's stores, the gateway, the openai SDK over HTTP. Stands in: OpenAI (dev/simulator)
 * and the keeper of leases; the workflows are written here.
 */
import type { ResponseCreateParamsNonStreaming } from 'openai/resources/responses/responses';
import { OpenAiGateway, type ModelCallRequest } from '#libs/openai-gateway';
import { noMetrics } from '#libs/metrics';
import {
  callStep,
  createStepContext,
  defineWorkflow,
  mapStep,
  WorkflowCatalogue,
  type CallPolicy,
  type CallStep,
  type MapStep,
  type PromptDraft,
  type Reading,
} from '#libs/workflows';
import type { Fault } from '../../../dev/simulator/faults.js';
import { startSimulator, type Simulator } from '../../../dev/simulator/simulator.js';
import type { Claim } from '../../../apps/processor/src/execute-runs/claim.js';
import type { ExecuteTools } from '../../../apps/processor/src/execute-runs/execute-tools.js';
import {
  WorkAbortedError,
  type AbortReason,
  type Lease,
} from '../../../apps/processor/src/execute-runs/keeper.js';
import { FinishedItems } from '../../../apps/processor/src/execute-runs/open-run.js';
import type { StepPass } from '../../../apps/processor/src/execute-runs/pass.js';
import { runModelStep } from '../../../apps/processor/src/execute-runs/run-model-step.js';
import {
  aDecision,
  aFailure,
  aWork,
  openProcessorFixture,
  type ProcessorFixture,
  type SpecProcessor,
} from './processor-fixture.js';

const schema = {
  type: 'object',
  properties: { answer: { type: 'string' } },
  required: ['answer'],
  additionalProperties: false,
} as const;
const broken = '{"reply": 42}';
const fitting = '{"answer": "42"}';

let fixture: ProcessorFixture;
let simulator: Simulator;
let gateway: OpenAiGateway;
let one: SpecProcessor;
let two: SpecProcessor;
let runId: string;
let claim: Claim;

beforeAll(async () => {
  fixture = await openProcessorFixture();
  simulator = await startSimulator({ latencyMs: 5 });
  [one, two] = [fixture.processor('one'), fixture.processor('two')];
  gateway = new OpenAiGateway({
    ...{ database: fixture.database, baseUrl: simulator.baseUrl, apiKey: 'sk-spec', log },
    timing: { firstPollMs: 5, maxPollMs: 20, closeGraceMs: 100 },
  });
});
afterAll(async () => {
  await gateway.close();
  await simulator.close();
  await fixture.stop();
});
beforeEach(async () => {
  await fixture.empty();
  simulator.clearFaults();
  ({ runId } = aWork());
  await one.admit.admit(aWork({ runId }));
  [claim] = (await one.claims.claim(1)) as [Claim];
});

const quiet = () => undefined;
const log = { debug: quiet, info: quiet, warn: quiet, error: quiet };
const draft: PromptDraft = {
  ...{ model: 'gpt-5.2', instructions: 'Answer as JSON.', input: 'What is six times seven?' },
  ...{ maxOutputTokens: 400, callTimeoutMs: 60_000, mode: 'background', whenUnknown: 'hold' },
};

function readAnswer({ kind, text }: { kind: string; text: string }): Reading<unknown> {
  if (kind === 'refusal') return { kind: 'broken', problems: ['it was refused'] };
  return text === fitting
    ? { kind: 'read', value: JSON.parse(text) as unknown }
    : { kind: 'broken', problems: ['/answer is missing'] };
}

const asking = (policy: CallPolicy & Pick<PromptDraft, 'largerCap'> = {}) => {
  const { largerCap, ...stated } = policy;
  return callStep({
    ...{ name: 'ask', title: 'Asking', output: { name: 'answer', schema }, ...stated },
    prompt: () => ({ ...draft, ...(largerCap !== undefined && { largerCap }) }),
    read: readAnswer,
  });
};

type ModelStep = CallStep<unknown> | MapStep<unknown>;

/** One pass over the step by whoever has the run. `callModel`: to die in the middle. */
async function pass(
  step: ModelStep,
  callModel: ExecuteTools['gateway']['callModel'] = (request, owner) =>
    gateway.callModel(request, owner),
  lease: Lease = leaseOf(claim),
): Promise<StepPass> {
  const workflow = defineWorkflow({
    ...{ name: 'asked', version: 1, title: 'Asked', model: 'gpt-5.2', result: schema },
    inputSchema: { type: 'object', properties: {}, additionalProperties: false },
    documents: { min: 0, max: 0, mediaTypes: [] },
    ...{ steps: [step], retry: {} },
  });
  const facts = { input: {}, documents: [], storedOutput: () => undefined };
  const context = createStepContext(workflow, facts);
  const finished = new FinishedItems(await one.checkPoints.load(runId));
  const tools = {
    ...{ workflows: new WorkflowCatalogue([workflow]), database: fixture.database, log },
    ...{ gateway: { callModel }, checkPoints: one.checkPoints, metrics: noMetrics },
    onOutcomeUnknown: () => quiet,
  } as unknown as Parameters<typeof runModelStep>[4];
  const run = { row: claim.run, workflow, context, finished, isFresh: false };
  return runModelStep(step, 0, run, lease, tools, quiet);
}

function leaseOf(of: Claim): Lease {
  const work = new AbortController();
  const abort = (reason: AbortReason) => work.abort(new WorkAbortedError(reason));
  return {
    ...{ claim: of, signal: work.signal, ownership: work.signal, abort },
    ...{ isAlive: () => !work.signal.aborted, settling: quiet },
  };
}

async function takenOver(): Promise<void> {
  await fixture.expire(runId);
  await two.rescue.rescueExpired();
  claim = ((await two.claims.claim(1)) as [Claim])[0];
}

async function redriven(): Promise<void> {
  await one.moves.move(claim, { kind: 'needs_review', failure: aFailure() });
  await one.admit.admit(aDecision(runId, 'redrive'));
  const { dispatch } = await fixture.row(runId);
  await one.admit.admit(aWork({ runId, dispatch }));
  claim = ((await one.claims.claim(1)) as [Claim])[0];
}

/** One after the other. */
const script = (...faults: Fault[]) =>
  simulator.addFaults(faults.map((fault) => ({ match: { runId }, fault })));
const says = (text: string): Fault => ({ kind: 'text', text });
const cut: Fault = { kind: 'incomplete', reason: 'max_output_tokens' };
const flexFull: Fault = { kind: 'status', status: 429, code: 'resource_unavailable' };

/** What was asked for and accepted, in order. */
const bodies = (): ResponseCreateParamsNonStreaming[] =>
  simulator
    .requests()
    .filter((line) => line.runId === runId && line.operation === 'create')
    .flatMap(({ responseId }) => simulator.find(responseId ?? '')?.request ?? []);
const paid = () => simulator.charges().byRunId[runId] ?? 0;
const stopped = (failureClass: string) => ({
  kind: 'failed',
  failures: [{ class: failureClass, step: 'ask' }],
});
const done = { kind: 'step_done' };

/** The nth call of the item never gets to the gateway: its processor died before. */
const dyingAt =
  (number: number): ExecuteTools['gateway']['callModel'] =>
  (request: ModelCallRequest, owner) =>
    request.try === number
      ? Promise.reject(new Error('the process died'))
      : gateway.callModel(request, owner);

describe('an answer that breaks its contract', () => {
  it('goes back once with what is wrong with it, behind the same beginning', async () => {
    script(says(broken), says(fitting));
    expect(await pass(asking({ repair: 'once' }))).toEqual(done);
    const [first, second, ...more] = bodies();
    expect(more).toEqual([]);
    expect(second).toMatchObject({ instructions: first?.instructions, text: first?.text });
    expect(second?.input).toContain(first?.input);
    expect(second?.input).toContain(broken);
    expect(second?.input).toContain('/answer is missing');
    expect(paid()).toBe(2);
  });

  it('goes before a person at once where the step does not say so', async () => {
    script(says(broken), says(fitting));
    expect(await pass(asking())).toMatchObject(stopped('bad_output'));
    expect(paid()).toBe(1);
  });

  it('goes before a person after one try, and stays there over takeovers', async () => {
    script(...Array.from({ length: 9 }, () => says(broken)));
    const step = asking({ repair: 'once' });
    expect(await pass(step)).toMatchObject(stopped('bad_output'));
    await takenOver();
    expect(await pass(step)).toMatchObject(stopped('bad_output'));
    expect(paid()).toBe(2);
  });

  it('is not mended where it is a refusal', async () => {
    script({ kind: 'refusal', text: 'No.' });
    expect(await pass(asking({ repair: 'once' }))).toMatchObject(stopped('bad_output'));
    expect(paid()).toBe(1);
  });

  it('is mended by the next owner, where its owner dies before the mending is sent', async () => {
    script(says(broken), says(fitting));
    const step = asking({ repair: 'once' });
    await expect(pass(step, dyingAt(1))).rejects.toThrow('died');
    await takenOver();
    expect(await pass(step)).toEqual(done);
    expect(bodies()[1]?.input).toContain(broken);
    expect(paid()).toBe(2);
  });

  it('is mended once, where its owner dies while the mending is at work', async () => {
    const step = asking({ repair: 'once' });
    script(says(broken), { kind: 'latency', ms: 60_000 });
    const lease = leaseOf(claim);
    const dying = pass(step, undefined, lease);
    while (bodies().length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    lease.abort('lease_lost');
    expect(await dying).toMatchObject({ kind: 'aborted' });
    simulator.finish();
    await takenOver();
    // The simulator fills the schema by itself: an answer, but not the one that this step takes.
    expect(await pass(step)).toMatchObject(stopped('bad_output'));
    expect(bodies()).toHaveLength(2);
    expect(paid()).toBe(2);
  });

  it('keeps being mended, where the mending meets a fault that passes: never twice', async () => {
    const fault: Fault = { kind: 'status', status: 500 };
    script(says(broken), fault, says(broken), says(fitting));
    const step = asking({ repair: 'once' });
    expect(await pass(step)).toMatchObject(stopped('server_error'));
    await takenOver();
    expect(await pass(step)).toMatchObject(stopped('bad_output'));
    expect(bodies()).toHaveLength(2);
    expect(bodies()[1]?.input).toContain(broken);
  });

  it('is asked for anew after a redrive, and may be mended once more', async () => {
    script(says(broken), says(broken), says(broken), says(fitting));
    const step = asking({ repair: 'once' });
    expect(await pass(step)).toMatchObject(stopped('bad_output'));
    await redriven();
    expect(await pass(step)).toEqual(done);
    const inputs = bodies().map(({ input }) => JSON.stringify(input).includes('previous_answer'));
    expect(inputs).toEqual([false, true, false, true]);
  });
});

describe('an answer that was cut at its cap', () => {
  it('is asked for once more with the larger cap, where the step has one', async () => {
    script(cut, says(fitting));
    expect(await pass(asking({ largerCap: 900 }))).toEqual(done);
    expect(bodies().map((body) => body.max_output_tokens)).toEqual([400, 900]);
  });

  it('goes before a person otherwise, and where the larger cap cuts it too', async () => {
    script(cut, cut, cut, cut);
    expect(await pass(asking())).toMatchObject(stopped('partial_output'));
    await redriven();
    expect(await pass(asking({ largerCap: 900 }))).toMatchObject(stopped('partial_output'));
    await takenOver();
    expect(await pass(asking({ largerCap: 900 }))).toMatchObject(stopped('partial_output'));
    expect(bodies().map((body) => body.max_output_tokens)).toEqual([400, 400, 900]);
  });

  it('has the larger cap for the next owner too, and for the mending of what it brings', async () => {
    script(cut, says(broken), says(fitting));
    const step = asking({ largerCap: 900, repair: 'once' });
    await expect(pass(step, dyingAt(1))).rejects.toThrow('died');
    await takenOver();
    expect(await pass(step)).toEqual(done);
    expect(bodies().map((body) => body.max_output_tokens)).toEqual([400, 900, 900]);
  });
});

describe('the service tier', () => {
  it('is what the step says; nothing is asked for where it says nothing', async () => {
    script(says(fitting), says(fitting));
    expect(await pass(asking({ serviceTier: 'priority' }))).toEqual(done);
    expect(bodies()[0]).toMatchObject({ service_tier: 'priority' });
    await takenOver();
    expect(await pass(asking())).toEqual(done); // what is done is not asked for again
    expect(bodies()).toHaveLength(1);
  });

  it('flex that is full: the run waits as for any overload', async () => {
    script(flexFull, says(fitting));
    expect(await pass(asking({ serviceTier: 'flex' }))).toMatchObject(stopped('overloaded'));
    expect(await pass(asking({ serviceTier: 'flex' }))).toEqual(done);
    expect(bodies()).toMatchObject([{ service_tier: 'flex' }]);
  });

  it('flex that is full: the default tier at once where the step says so, for the next owner too', async () => {
    script(flexFull, { kind: 'status', status: 500 }, says(fitting));
    const step = asking({ serviceTier: 'flex', whenFlexIsFull: 'default' });
    expect(await pass(step)).toMatchObject(stopped('server_error'));
    await takenOver();
    expect(await pass(step)).toEqual(done);
    expect(bodies()).toMatchObject([{ service_tier: 'default' }]);
  });
});

it('the items of a map begin alike, byte for byte, and share a cache key', async () => {
  const step = mapStep({
    ...{ name: 'ask', title: 'Asking', output: { name: 'answer', schema }, maxParallelItems: 4 },
    items: () => ['six', 'seven', 'eight', 'nine'],
    label: (item) => item,
    prompt: (item) => ({ ...draft, input: `What is ${item}?` }),
    read: readAnswer,
  });
  script(says(fitting), says(fitting), says(fitting), says(fitting));
  expect(await pass(step)).toEqual(done);
  const beginnings = bodies().map(({ model, instructions, text, prompt_cache_key }) =>
    JSON.stringify({ model, instructions, text, prompt_cache_key }),
  );
  expect(beginnings).toHaveLength(4);
  expect(new Set(beginnings).size).toBe(1);
  expect(bodies()[0]?.prompt_cache_key).toBe(`${runId}-0`);
  expect(new Set(bodies().map(({ input }) => input)).size).toBe(4);
});
