/**
 * `npm run storm -- --runs 10000 --minutes 5 --seed 7`: Holdfast under everything at once, and the oracle at the end. Real: two
 * apis, three processors, Postgres, Kafka, the signals that strike them, HTTP callers, an outside consumer, a receiver of webhooks.
 * Stands in: the simulator for OpenAI, on a bad day, with its bill. Holdfast is built with the workflows of
 * `test/faults/notifying-workflows.md`, for its own tell nobody. Exit code 0 only where no promise was broken.
 */
import { chmod, mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InterruptedError, listenForInterruption } from '../../dev/stack/interruption.js';
import { localFolder } from '../../dev/stack/repository.js';
import { Supervisor } from '../../dev/stack/supervisor.js';
import { makeTemplate } from '../../dev/test/template-database.js';
import { judge, type Breach } from '../oracle/judge.js';
import { buildWithPage } from '../support/build-with-page.js';
import { openScene } from '../support/holdfast.js';
import { startServers } from '../support/servers.js';
import { receiverSecret, WebhookReceiver } from '../support/webhook-receiver.js';
import { liveLine } from './live-line.js';
import { listOf, tableOf } from './report.js';
import { Storm, type StormResult } from './storm.js';
import { parseOrder, replayOf, type StormOrder } from './storm-plan.js';

const EXIT_BAD_USAGE = 64;
/** What is stopped for seconds is looked at again within seconds. */
const quickOutages = {
  ...{ PROCESSOR_BILLING_PROBE_MS: '1000', PROCESSOR_BREAKER_OPEN_MS: '1000' },
};
const log = (line: string) => console.log(line);

async function weather(order: StormOrder, signal: AbortSignal): Promise<StormResult> {
  const build = await buildWithPage('test/faults/notifying-workflows.md');
  const receiver = await WebhookReceiver.open();
  try {
    return await weatherOn(order, build.dist, receiver, signal);
  } finally {
    await receiver.close();
    await build.remove();
  }
}

async function weatherOn(
  order: StormOrder,
  build: string,
  receiver: WebhookReceiver,
  signal: AbortSignal,
): Promise<StormResult> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-storm-'));
  await chmod(folder, 0o711); // started by root, Postgres runs as another user, who must get in
  const supervisor = await Supervisor.open(folder, log);
  supervisor.removeInTheEnd(folder);
  try {
    const servers = await startServers({ supervisor, folder, log, signal });
    const { databaseUrl, kafkaBrokers } = servers;
    const template = await makeTemplate(databaseUrl, kafkaBrokers, signal);
    process.env.HOLDFAST_TEST_DATABASE_URL = databaseUrl;
    process.env.HOLDFAST_TEST_KAFKA = kafkaBrokers;
    process.env.HOLDFAST_TEST_TEMPLATE = template.name;
    const env = {
      ...{ API_MAX_UNFINISHED_RUNS: '0', LOG_LEVEL: 'error', ...quickOutages },
      PROCESSOR_WEBHOOK_TARGETS: `crm=${receiver.url}/hooks`,
      PROCESSOR_WEBHOOK_SECRETS: `crm=${receiverSecret}`,
      PROCESSOR_WEBHOOK_PRIVATE_ADDRESSES: 'allowed',
    };
    const scene = await openScene({ processors: 0, modelLatencyMs: 300, build, env });
    const line = liveLine(process.stdout);
    try {
      const tell = (text: string) => line.show(text);
      return await new Storm(order, scene, servers, receiver, tell, signal).run();
    } finally {
      line.end();
      await scene.close();
    }
  } finally {
    await supervisor.close();
  }
}

function say(order: StormOrder, { facts, surprises, blows }: StormResult, breaches: Breach[]) {
  log(`\nStorm with seed ${order.seed}: ${order.runs} runs in ${order.minutes} minutes`);
  const struck = Object.entries(blows).map(([blow, times]) => `${blow.replace('_', ' ')} ${times}`);
  log(`Struck: ${struck.join(', ')}\n`);
  log(tableOf(facts, breaches));
  if (surprises.length > 0) log(`\nUnexpected:\n${surprises.slice(0, 20).join('\n')}`);
  if (breaches.length > 0) log(`\nBroken promises:\n${listOf(breaches)}`);
  log(`\nAgain: ${replayOf(order)}`);
}

async function main(): Promise<number> {
  const read = parseOrder(process.argv.slice(2));
  if (read.kind === 'refused') {
    console.error(read.reason);
    return EXIT_BAD_USAGE;
  }
  const { order } = read;
  log(`Storm: ${replayOf(order)}`);
  const signal = listenForInterruption(log);
  const result = await weather(order, signal);
  if (signal.reason instanceof InterruptedError) return signal.reason.exitCode;
  const breaches = judge(result.facts);
  say(order, result, breaches);
  const { blows, surprises } = result;
  const record = { order, replay: replayOf(order), blows, surprises, breaches };
  await mkdir(localFolder, { recursive: true });
  await writeFile(join(localFolder, 'storm.json'), `${JSON.stringify(record, null, 2)}\n`);
  const answered = new Set(result.facts.answers.map(({ key }) => key)).size;
  return breaches.length === 0 && surprises.length === 0 && answered === order.runs ? 0 : 1;
}

process.exitCode = await main();
