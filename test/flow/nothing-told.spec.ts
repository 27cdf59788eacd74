/**
 * Nothing secret is told. Real: api, processor, Postgres, Kafka, all logs at `debug`, all topics, all answers. Stands in: the
 * simulator for OpenAI, told to quote in its refusals what a real one might.
 * Every secret is another word, so that a find says which one got out, and where.
 */
import { RUN_REQUESTED, topics } from '#libs/contracts';
import { runIdOf } from '#libs/domain';
import { uuidv7 } from '#libs/postgres';
import pg from 'pg';
import { eventually } from '../support/eventually.js';
import { openFlow, type Flow } from '../support/flow.js';
import { headersOf } from '../support/topic-watch.js';

const secrets = {
  apiKey: 'sk-plantedapikey',
  databasePassword: 'planteddatabasepassword',
  kafkaHeader: 'plantedkafkaheader',
  kafkaBody: 'plantedkafkabody',
  document: 'planteddocumentword',
  question: 'plantedquestionword',
  answer: 'plantedanswerword',
  label: 'plantedlabelword',
  reference: 'plantedreferenceword',
  httpBody: 'plantedhttpbodyword',
  httpHeader: 'plantedhttpheader',
  httpQuery: 'plantedhttpquery',
} as const;

let flow: Flow;
let role: string;
/** What callers were told about refused requests, and what a process said that did not start. */
const problems: string[] = [];

beforeAll(async () => {
  role = `planted_${uuidv7().replaceAll('-', '')}`;
  await administer(`CREATE ROLE ${role} SUPERUSER LOGIN PASSWORD '${secrets.databasePassword}'`);
  flow = await openFlow({
    env: {
      ...{ LOG_LEVEL: 'debug', OPENAI_CONVERSATIONS: 'off', OPENAI_API_KEY: secrets.apiKey },
      PROCESSOR_LATCH_PROBE_MS: '1000', // a refused key holds its account until a call goes through
    },
    role: { name: role, password: secrets.databasePassword },
  });
});
afterAll(async () => {
  await flow?.close();
  await administer(`DROP ROLE IF EXISTS ${role}`);
});

const labels = { token: secrets.label };
const reference = secrets.reference;
const question = (about: string) => `${secrets.question} ${about}?`;
const ask = async (about: string) => {
  const input = { question: question(about) };
  const { body } = await flow.runs.submit({ workflow: 'answer', input, labels, reference });
  return (body as { id: string }).id;
};

it('when runs succeed: documents, prompts and outputs go nowhere but where they belong', async () => {
  await flow.simulator.script({
    match: { inputIncludes: question('well') },
    fault: { kind: 'text', text: JSON.stringify({ answer: secrets.answer }) },
  });
  const well = await ask('well');
  const tender = await flow.runs.readTender(
    `# Tender\n\n## 1 Scope\n\nThe ${secrets.document} shall be blue.\n`,
    'tender.md',
  );
  await Promise.all([flow.runs.completion(well), flow.runs.completion(tender.id)]);
  expect(JSON.stringify(await flow.runs.result(well))).toContain(secrets.answer);
  expectNothingTold();
});

it('when OpenAI refuses and quotes the key and the prompt, or the output breaks its contract', async () => {
  const quoting = (status: number, code: string) => ({
    ...{ kind: 'status' as const, status, code },
    message: `Incorrect API key provided: ${secrets.apiKey}; input '${question('badly')}' refused.`,
  });
  await flow.simulator.script(
    { match: { inputIncludes: question('key') }, fault: quoting(401, 'invalid_api_key') },
    { match: { inputIncludes: question('badly') }, fault: quoting(400, 'invalid_value') },
    {
      match: { inputIncludes: question('refused') },
      fault: { kind: 'refusal', text: secrets.answer },
    },
    {
      match: { inputIncludes: question('failing') },
      fault: {
        kind: 'failed',
        code: 'server_error',
        message: `${secrets.apiKey} ${question('failing')}`,
      },
    },
    { match: { inputIncludes: question('lost') }, fault: { kind: 'reset_after_charge' } },
    { match: { inputIncludes: question('garbled') }, fault: { kind: 'broken_json' } },
  );
  const tender = await flow.runs.upload(`# T\n\nThe ${secrets.document} shall be red.\n`, 'b.md');
  await flow.simulator.script({
    match: { inputIncludes: 'shall be red' },
    fault: { kind: 'text', text: `{"broken": "${secrets.answer}"}` },
    times: 'always',
  });
  await flow.runs.submit({
    ...{ workflow: 'tender-compliance', input: {}, documents: [tender.id], labels, reference },
  });
  const about = ['key', 'badly', 'refused', 'failing', 'lost', 'garbled'];
  const ids = await Promise.all(about.map(ask));
  for (const id of ids)
    await flow.runs.streamUntil(id, 'stop', ({ status }) =>
      ['needs_review', 'completed', 'failed', 'retrying'].includes(status),
    );
  await eventually('the broken output is a failure', () =>
    flow.watch.seen.some(({ value }) => String(value).includes('bad_output')),
  );
  expectNothingTold();
});

it('when strangers write to the topics', async () => {
  const headers = {
    ...{ ce_id: uuidv7(), ce_source: '/stranger', ce_specversion: '1.0' },
    ...{ ce_time: new Date().toISOString(), 'content-type': 'application/json' },
    ...{ 'x-holdfast-dispatch': '1', authorization: secrets.kafkaHeader },
  };
  const bodies = [
    `{"${secrets.kafkaBody}`,
    JSON.stringify({ workflow: secrets.kafkaBody }),
    JSON.stringify(secrets.kafkaBody),
    JSON.stringify({ runId: `run_${secrets.kafkaBody}`, workflow: { a: secrets.kafkaBody } }),
  ];
  const requested = bodies.map((value) => {
    const id = runIdOf(uuidv7());
    const own = { ...headers, ce_type: RUN_REQUESTED, ce_subject: id };
    return { topic: topics.runRequested, key: id, headers: own, value };
  });
  const events = bodies.map((value) => {
    const id = runIdOf(uuidv7());
    const own = { ...headers, ce_type: 'dev.holdfast.run.completed.v1', ce_subject: id };
    return { topic: topics.runEvents, key: id, headers: own, value };
  });
  await flow.watch.send(
    [...requested, ...events].map(({ key, value, ...rest }) => {
      return { ...rest, partition: 0, key: Buffer.from(key), value: Buffer.from(value) };
    }),
  );
  await flow.watch.settledByAll();
  await flow.published();
  expect(linesWith('record sent to the dead letters').length).toBeGreaterThanOrEqual(4);
  expect(linesWith('run event set aside').length).toBeGreaterThanOrEqual(4);
  expectNothingTold();
});

it('when callers send what cannot be taken', async () => {
  const { httpBody, httpHeader, httpQuery } = secrets;
  const post = async (path: string, body: string, contentType = 'application/json') => {
    const headers = {
      ...{ 'content-type': contentType, 'idempotency-key': uuidv7() },
      ...{ authorization: `Bearer ${httpHeader}`, cookie: `session=${httpHeader}` },
    };
    const answer = await fetch(flow.scene.apiUrl + path, { method: 'POST', headers, body });
    expect(answer.status).toBeGreaterThanOrEqual(400);
    problems.push(await answer.text());
  };
  const asked = (input: object, more: object = {}) =>
    JSON.stringify({ workflow: 'answer', input, ...more });
  await post('/v1/runs', `{"a": ${httpBody}`);
  await post('/v1/runs', `"${httpBody}\u0000"`);
  await post('/v1/runs', asked({ question: { text: httpBody } }));
  await post('/v1/runs', asked({ question: 'q', note: httpBody }));
  await post('/v1/runs', asked({ question: 'q' }, { deadline: httpBody }));
  await post('/v1/runs', asked({ question: 'q' }, { labels: { a: { b: httpBody } } }));
  await post('/v1/runs', asked({ question: 'q' }, { documents: [httpBody] }));
  await post('/v1/runs', asked({ question: 'q' }, { priority: httpBody }));
  await post('/v1/runs', httpBody, 'text/plain');
  await post('/v1/documents', httpBody, 'multipart/form-data; boundary=x');
  for (const path of [`/v1/runs?status=${httpQuery}`, `/v1/runs?cursor=${httpQuery}`]) {
    const answer = await fetch(flow.scene.apiUrl + path);
    problems.push(await answer.text());
  }
  expectNothingTold();
});

it('when Postgres goes away, and when a process is brought down or cannot start', async () => {
  const [processor] = flow.scene.processors;
  const id = await ask('interrupted');
  await flow.database.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = current_database() AND application_name LIKE 'holdfast%'`,
  );
  await processor?.line(/Postgres connection lost|trying again/);
  // Where the answer to a claim's COMMIT was lost, it goes on only when the lease has run out: 15 s, and what the run takes.
  await eventually('the run completes all the same', async () => {
    const { run } = await flow.runs.view(id).catch(() => ({ run: null }));
    return run?.status === 'completed';
  });
  const badly = {
    DATABASE_URL: `mysql://x:${secrets.databasePassword}@h/d`,
    LOG_LEVEL: secrets.label,
  };
  const refused = await flow.scene.startProcessor(badly).then(
    () => 'it started',
    (error: Error) => error.message,
  );
  expect(refused).toContain('2 bad setting(s)');
  problems.push(refused);
  await processor?.stop();
  await flow.scene.api.stop();
  expect(linesWith('drained').length).toBe(2);
  expectNothingTold();
});

it('and each line of the logs is JSON with a level and what it is about', () => {
  const lines = logLines();
  expect(lines.length).toBeGreaterThan(50);
  for (const line of lines) {
    const entry = JSON.parse(line) as Record<string, unknown>;
    expect(entry).toMatchObject({
      message: expect.any(String) as string,
      pid: expect.any(Number) as number,
    });
    expect(['debug', 'info', 'warn', 'error']).toContain(entry['level']);
  }
  const [left] = linesWith('run left this worker').map((line) => JSON.parse(line) as object);
  expect(left).toMatchObject({
    runId: expect.stringMatching(/^run_/) as string,
    traceId: expect.stringMatching(/^[0-9a-f]{32}$/) as string,
    dispatch: 1,
    app: 'processor',
  });
});

/** Whose word it is says where it may stand; nothing may stand in a log. */
function expectNothingTold(): void {
  for (const [whose, secret] of Object.entries(secrets)) {
    expect([whose, logLines().filter((line) => line.includes(secret))]).toEqual([whose, []]);
    expect([whose, problems.filter((text) => text.includes(secret))]).toEqual([whose, []]);
    if (['label', 'reference'].includes(whose)) continue; // a caller's marks are on his events, by contract
    const told = toldOfFailures().filter((text) => text.includes(secret));
    expect([whose, told]).toEqual([whose, []]);
  }
}

/** Dead letters, and every event but the one that holds the result. */
function toldOfFailures(): string[] {
  return flow.watch.seen
    .filter(({ headers }) => !('authorization' in headers)) // what the stranger wrote himself
    .filter(({ headers }) => String(headers['ce_type']) !== 'dev.holdfast.run.completed.v1')
    .map((record) => JSON.stringify([headersOf(record), String(record.value)]));
}

function logLines(): string[] {
  const { api, processors } = flow.scene;
  return [api, ...processors]
    .flatMap((app) => app.output().split('\n'))
    .filter((line) => line !== '' && !line.startsWith('ready: '));
}

function linesWith(message: string): string[] {
  return logLines().filter((line) => line.includes(`"message":"${message}"`));
}

async function administer(statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: process.env.HOLDFAST_TEST_DATABASE_URL });
  await client.connect();
  await client.query(statement).finally(() => client.end());
}
