/**
 * kill -9 at each point of a call, planned → sending → accepted → done, with OpenAI's webhooks on and without conversations: where OpenAI was reached the run
 * completes, paid once. What becomes of each without webhooks is in killed-at-each-point.spec.ts.
 * Real: api and processors as processes of their own, SIGKILL, Postgres, Kafka. Stands in: the simulator for OpenAI, which sends
 * webhooks and counts charges; time, which is moved in the ledger's row.
 */
import { randomBytes } from 'node:crypto';
import { numberOf, type PausePoint } from '#libs/pause-points';
import { runIdOf, uuidOf, type RunId } from '#libs/domain';
import { eventually } from '../support/eventually.js';
import { openFlow, type Flow } from '../support/flow.js';
import { freePort } from '../support/free-port.js';

const secret = `whsec_${randomBytes(24).toString('base64')}`;

const fates = {
  'call.opening': { status: 'completed', charges: [1] },
  /** It never left, and nobody can know that: no webhook comes. */
  'call.sending': { status: 'needs_review', charges: [] },
  'call.replied': { status: 'completed', charges: [1] },
  'call.accepted': { status: 'completed', charges: [1] },
  'call.done': { status: 'completed', charges: [1] },
} as const satisfies Partial<Record<PausePoint, object>>;
const points = Object.keys(fates) as (keyof typeof fates)[];

let flow: Flow;
const runs = new Map<PausePoint, string>();

beforeAll(async () => {
  const port = await freePort();
  flow = await openFlow({
    processors: 0,
    env: { OPENAI_WEBHOOK_SECRET: secret, OPENAI_CONVERSATIONS: 'off' },
  });
  // Nobody listens there yet: what is sent before the victims are dead is sent again.
  const url = `http://127.0.0.1:${port}/v1/openai/webhooks`;
  await flow.simulator.orderWebhooks({ url, secret });
  await flow.simulator.script({ fault: { kind: 'latency', ms: 2_000 }, times: 'always' });
  for (const point of points) await flow.runs.ask(`What happens at ${point}?`);
  const env = { PROCESSOR_RUN_SLOTS: '1', PROCESSOR_DRAIN_MS: '0' };
  const victims = await Promise.all(
    points.map(async (point) => {
      const app = await flow.scene.startProcessor({ ...env, HOLDFAST_PAUSE_AT: point });
      return { point, app };
    }),
  );
  await Promise.all(victims.map(({ app }) => app.paused(60_000)));
  for (const { point, app } of victims) runs.set(point, await runInHand(app.pid));
  await Promise.all(victims.map(({ app }) => app.killHard()));
  await flow.simulator.clearScript();
  await flow.scene.startProcessor({ PROCESSOR_PORT: String(port) });
}, 180_000);
afterAll(async () => flow?.close());

it.each(points.map((point) => [numberOf(point), point, fates[point]] as const))(
  '%i %s: one end, nothing paid twice',
  async (_number, point, fate) => {
    const id = runs.get(point)!;
    if (point === 'call.sending') await timeIsOver(id);
    await flow.runs.streamUntil(id, fate.status, ({ status }) => status === fate.status, 60_000);
    expect(Object.values(await flow.simulator.chargesOf(id))).toEqual(fate.charges);
  },
  90_000,
);

/** The call's own limit and the grace, once the next owner has found that its outcome is unknown. */
async function timeIsOver(id: string): Promise<void> {
  await eventually(
    'the call waits to be told of',
    async () => {
      const { rowCount } = await flow.database.query(
        `UPDATE processor.calls SET sending_at = sending_at - interval '1 hour' WHERE run_id = $1 AND state = 'unknown'`,
        [uuidOf(id as RunId)],
      );
      return rowCount > 0;
    },
    60_000,
  );
}

async function runInHand(pid: number): Promise<string> {
  return eventually(`process ${pid} has a run`, async () => {
    const { rows } = await flow.database.query<{ run_id: string }>(
      `SELECT run_id FROM processor.attempts WHERE worker LIKE $1`,
      [`%.${pid}.%`],
    );
    return rows[0] && runIdOf(rows[0].run_id);
  });
}
