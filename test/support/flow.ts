/** A scene (`holdfast.ts`) with everyone who looks at it from outside: an HTTP caller, a reader of the topics, SQL, the simulator. */
import { uuidOf, type RunId } from '#libs/domain';
import { Database } from '#libs/postgres';
import type { AppProcess } from './app-process.js';
import { eventually } from './eventually.js';
import { openScene, type Scene, type SceneOptions } from './holdfast.js';
import { RunsClient } from './runs-client.js';
import { SimulatorClient } from './simulator-client.js';
import { TopicWatch } from './topic-watch.js';

export interface Flow {
  readonly scene: Scene;
  readonly runs: RunsClient;
  readonly simulator: SimulatorClient;
  readonly watch: TopicWatch;
  /** For rows that no interface shows, and for locks. */
  readonly database: Database;
  /** The processor that holds the run's lease now. */
  ownerOf(runId: string): Promise<AppProcess>;
  /** Resolves when everything that was written has been published, and read by the outside consumer. */
  published(readWithinMs?: number): Promise<void>;
  close(): Promise<void>;
}

export async function openFlow(options: SceneOptions = {}): Promise<Flow> {
  const scene = await openScene(options);
  const database = new Database({ url: scene.database.url, applicationName: 'spec' });
  const watch = await TopicWatch.open(scene.topicPrefix);
  return {
    ...{ scene, database, watch },
    runs: new RunsClient(scene.apiUrl),
    simulator: new SimulatorClient(scene.simulatorUrl),
    ownerOf: (runId) =>
      eventually(`${runId} has an owner`, async () => {
        const { rows } = await database.query<{ owner: string | null }>(
          `SELECT owner FROM processor.executions WHERE run_id = $1`,
          [uuidOf(runId as RunId)],
        );
        const [, pid] = /\.(\d+)\.[0-9a-f]+$/.exec(rows[0]?.owner ?? '') ?? [];
        return scene.processors.find((processor) => String(processor.pid) === pid);
      }),
    published: async (readWithinMs) => {
      await eventually('the outboxes are empty', async () => {
        const { rows } = await database.query<{ waiting: boolean }>(
          `SELECT EXISTS (SELECT FROM api.outbox) OR EXISTS (SELECT FROM processor.outbox) AS waiting`,
        );
        return rows[0]?.waiting === false;
      });
      await watch.upToDate(readWithinMs);
    },
    close: async () => {
      await watch.close();
      await database.close();
      await scene.close();
    },
  };
}
