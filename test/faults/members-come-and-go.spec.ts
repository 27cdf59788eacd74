/** Real: api and processors as processes of their own, Postgres, Kafka. Stands in: the simulator for OpenAI, with its bill. */
import { openFlow, type Flow } from '../support/flow.js';
import { askAll, expectUnbroken, untilAtRest } from '../support/unbroken.js';

const rounds = 4;
const runsPerRound = 60;

let flow: Flow;
beforeAll(async () => {
  flow = await openFlow({ env: { PROCESSOR_DRAIN_MS: '1000' } });
});
afterAll(async () => flow?.close());

it('processors that join, leave and die under load: nothing is lost, paid twice or told in another order', async () => {
  const ids: string[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const questions = Array.from({ length: runsPerRound }, (_, n) => `Question ${round}.${n}?`);
    const asking = askAll(flow, questions);
    const member = await flow.scene.startProcessor();
    ids.push(...(await asking));
    if (round % 2 === 0) await member.stop();
    else await member.killHard();
  }
  await untilAtRest(flow, 60_000);
  const { executions } = await expectUnbroken(flow, ids);
  expect(executions).toHaveLength(rounds * runsPerRound);
}, 150_000);
