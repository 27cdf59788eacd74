/** `npm run demo -- [tender.md …] [--exit]`: Holdfast comes up and does its main job in front of the reader. */
import { join, resolve } from 'node:path';
import { untilAborted } from '../stack/interruption.js';
import { localFolder, repositoryRoot } from '../stack/repository.js';
import { runSupervised } from '../stack/supervised.js';
import { startHoldfast } from '../start/start-holdfast.js';
import { describeStart, parseStartSettings } from '../start/start-settings.js';
import { DemoRequestError, parseDemoArgs, readDocuments } from './demo-request.js';
import type { DemoDocument, DemoRequest } from './demo-request.js';
import { HoldfastHttp } from './holdfast-http.js';
import { SimulatorHttp } from './simulator-http.js';
import { tellStory } from './story.js';
import { Terminal } from './terminal.js';

const storyLimitMs = 20 * 60_000;

async function runDemo(request: DemoRequest, documents: readonly DemoDocument[]): Promise<void> {
  const terminal = new Terminal(process.stdout, process.env);
  let wasToldWell = false;
  await runSupervised(async (scene) => {
    const settings = parseStartSettings(process.env);
    scene.log('Starting Holdfast: Postgres, Kafka, OpenAI simulator, processor, api …');
    const running = await startHoldfast({ ...scene, settings });
    scene.log(describeStart(settings, { ...running, logFolder: scene.logFolder }));
    const signal = AbortSignal.any([scene.signal, AbortSignal.timeout(storyLimitMs)]);
    wasToldWell = await tellStory({
      ...{ documents, terminal },
      holdfast: new HoldfastHttp(running.apiUrl, signal),
      simulator: running.simulatorUrl ? new SimulatorHttp(running.simulatorUrl, signal) : null,
      resultFolder: join(localFolder, 'results'),
      morning: Date.now().toString(36),
    });
    if (!request.exit) {
      terminal.say(`Holdfast stays up at ${running.apiUrl} (try /v1/runs). Ctrl-C stops it.`);
      await untilAborted(scene.signal);
    }
    terminal.say('Stopping …');
    await running.stopApps();
  });
  if (!wasToldWell) process.exitCode ||= 1;
}

/** npm runs scripts at the root of the repository; files are named from where the reader stands. */
function filesFrom(files: readonly string[]): string[] {
  return files.map((file) => resolve(process.env.INIT_CWD ?? process.cwd(), file));
}

try {
  const request = parseDemoArgs(process.argv.slice(2));
  const documents = await readDocuments(
    filesFrom(request.files),
    join(repositoryRoot, 'dev/samples'),
  );
  await runDemo(request, documents);
} catch (error) {
  if (!(error instanceof DemoRequestError)) throw error;
  console.error(error.message);
  process.exitCode = 64; // EX_USAGE
}
