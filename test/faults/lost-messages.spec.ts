/**
 * Messages that are lost without a trace, under load: requests, decisions, last events. Real: api, processors, Postgres, Kafka, an
 * outside consumer. Stands in: the simulator for OpenAI, with its bill; and the loss itself: a trigger takes the row out of the
 * outbox in the transaction that writes it, so that nobody but the api's reconciler can ever know.
 *
 * A run says by the last hexadecimal digit of its id what is lost of it, the first time that it is sent.
 */
import { repeatHeaders } from '#libs/contracts';
import { openFlow, type Flow } from '../support/flow.js';
import { eventually } from '../support/eventually.js';
import { askAll, expectUnbroken, untilAtRest } from '../support/unbroken.js';

const silenceMs = 2_000;
const runs = 300;
/** Of what lost on its first way, by the last digit. */
const losing = { dispatch: '[012]', end: '[345]', decision: '[67]' } as const;

let flow: Flow;
beforeAll(async () => {
  flow = await openFlow({
    processors: 2,
    env: { API_SILENCE_MS: String(silenceMs), PROCESSOR_RUN_SLOTS: '64' },
  });
  await flow.database.query(loseIn('api'));
  await flow.database.query(loseIn('processor'));
}, 120_000);
afterAll(async () => flow?.close());

it('lost requests, ends and decisions are made good within seconds, each once, and each is counted', async () => {
  const questions = Array.from({ length: runs }, (_, number) => `What is number ${number}?`);
  await flow.simulator.script({
    match: { inputIncludes: 'What is number' },
    fault: { kind: 'latency', ms: 300 },
    times: runs,
  });
  const startedAt = performance.now();
  const ids = await askAll(flow, questions);
  const ending = (pattern: string) => ids.filter((id) => new RegExp(`${pattern}$`).test(id));

  // People cancel runs that they never get to hear of again.
  const cancelled = ending(losing.decision).slice(0, 20);
  for (const id of cancelled) await flow.runs.decide(id, 'cancel').catch(() => undefined);
  const decided = new Set(await lostDecisions());

  await untilAtRest(flow, 60_000);
  const healedMs = performance.now() - startedAt;
  await eventually('every decision is answered', async () => {
    const { rows } = await flow.database.query(`SELECT FROM api.decisions WHERE state = 'pending'`);
    return rows.length === 0;
  });
  await expectUnbroken(flow, ids);

  expect(healedMs).toBeLessThan(45_000);
  expect(ending(losing.dispatch).length).toBeGreaterThan(0);
  expect(await repairs()).toEqual({
    dispatch: ending(losing.dispatch).length,
    event: ending(losing.end).length,
    ...(decided.size > 0 && { decision: decided.size }),
  });
}, 180_000);

it('nothing is repaired where nothing is lost', async () => {
  await flow.database.query('DROP TRIGGER lose ON api.outbox');
  await flow.database.query('DROP TRIGGER lose ON processor.outbox');
  const before = await repairs();
  const questions = Array.from({ length: 150 }, (_, number) => `And number ${number}?`);
  const ids = await askAll(flow, questions);
  await untilAtRest(flow, 60_000);
  await expectUnbroken(flow, ids);
  expect(await repairs()).toEqual(before);
}, 120_000);

/** What was lost is noted, in a table of the spec's own. */
function loseIn(schema: 'api' | 'processor'): string {
  const type = `convert_from(NEW.headers, 'UTF8')::json ->> 'ce_type'`;
  const isAgain = ['reemission', 'repeated'] as const;
  const again = isAgain
    .map(
      (name) => `convert_from(NEW.headers, 'UTF8')::json ->> '${repeatHeaders[name]}' IS NOT NULL`,
    )
    .join(' OR ');
  return `
    CREATE TABLE IF NOT EXISTS public.lost (key text, what text);
    CREATE FUNCTION ${schema}.lose() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE what text := CASE
      WHEN ${again} THEN NULL
      WHEN ${type} = 'dev.holdfast.run.requested.v1' AND NEW.topic = 'holdfast.run.requested.v1'
        AND NEW.key ~ '${losing.dispatch}$' THEN 'dispatch'
      WHEN ${type} = 'dev.holdfast.run.completed.v1' AND NEW.key ~ '${losing.end}$' THEN 'event'
      WHEN ${type} = 'dev.holdfast.run.cancel-requested.v1' AND NEW.key ~ '${losing.decision}$' THEN 'decision'
    END;
    BEGIN
      IF what IS NULL THEN RETURN NEW; END IF;
      INSERT INTO public.lost VALUES (NEW.key, what);
      RETURN NULL;
    END $$;
    CREATE TRIGGER lose BEFORE INSERT ON ${schema}.outbox FOR EACH ROW EXECUTE FUNCTION ${schema}.lose()`;
}

async function lostDecisions(): Promise<string[]> {
  const { rows } = await flow.database.query<{ key: string }>(
    `SELECT key FROM public.lost WHERE what = 'decision'`,
  );
  return rows.map(({ key }) => key);
}

/** By what was lost, over all processes. */
async function repairs(): Promise<Record<string, number>> {
  const processors = flow.scene.processors.map((processor) => processor.ready());
  const urls = (await Promise.all(processors)).map((line) => /http:\/\/[^\s,]+/.exec(line)![0]);
  const sum: Record<string, number> = {};
  for (const url of [flow.scene.apiUrl, ...urls.map((each) => new URL(each).origin)]) {
    const text = await (await fetch(`${url}/metrics`)).text();
    for (const [, what, count] of text.matchAll(/^holdfast_repairs_total\{what="(\w+)"\} (\d+)/gm))
      sum[what!] = (sum[what!] ?? 0) + Number(count);
  }
  return sum;
}
