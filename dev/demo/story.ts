/**
 * The main job in front of the reader: upload, submit (one twice), watch, results. All of it over HTTP, as any caller would.
 * Every wait ends with the signal, which fires at the latest when the story has taken too long.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { RunView } from '#libs/contracts';
import type { TenderComplianceResult } from '#libs/workflows';
import type { DemoDocument } from './demo-request.js';
import type { HoldfastHttp } from './holdfast-http.js';
import { matrixHead, matrixTitle } from './show-matrix.js';
import type { SimulatorHttp } from './simulator-http.js';
import type { Terminal } from './terminal.js';
import { watchRuns, type ToldRun } from './watch-runs.js';

export interface StoryOptions {
  readonly documents: readonly DemoDocument[];
  readonly holdfast: HoldfastHttp;
  /** Null where real OpenAI is called: nobody throttles on purpose then, and nobody counts. */
  readonly simulator: SimulatorHttp | null;
  readonly resultFolder: string;
  readonly terminal: Terminal;
  /** Told apart from every other morning's demo, or the keys would find yesterday's runs. */
  readonly morning: string;
}

/** True when every run was completed. */
export async function tellStory(options: StoryOptions): Promise<boolean> {
  const { simulator, terminal } = options;
  const runs = await uploadAndSubmit(options);
  await submitAgain(options, runs);
  const ends = await watchRuns(runs, options);
  for (const { told, run } of ends) await showEnd(options, told, run);
  if (simulator) await showCharges(options, simulator, ends);
  terminal.say();
  return ends.every(({ run }) => run.status === 'completed');
}

async function uploadAndSubmit(options: StoryOptions): Promise<ToldRun[]> {
  const { documents, holdfast, simulator, terminal } = options;
  const count = documents.length;
  if (simulator) {
    await simulator.throttleOneCall(5 * count);
    heading(terminal, 'The AI service will be busy once, on purpose');
    terminal.say('  The simulator is told to answer one call with 429 and "Retry-After: 8".');
  }
  heading(
    terminal,
    count === 1
      ? 'Uploading the tender document, and asking for its compliance matrix'
      : `Uploading ${count} tender documents at once, and asking for a compliance matrix of each`,
  );
  return Promise.all(
    documents.map(async (document, index) => {
      const stored = await holdfast.upload(document);
      const key = `demo-${options.morning}-${index + 1}`;
      const { run } = await holdfast.submit(runRequest(document, stored.id), key);
      const size = `${Math.ceil(stored.sizeBytes / 1024)} KB`;
      terminal.say(`  ${document.fileName} (${size}) → ${run.id}, ${run.status}`);
      return { document, key, run };
    }),
  );
}

async function submitAgain(
  { holdfast, terminal }: StoryOptions,
  runs: readonly ToldRun[],
): Promise<void> {
  const [first] = runs;
  if (!first) return;
  const { document, key, run } = first;
  heading(
    terminal,
    `Submitting ${document.fileName} a second time, as a caller does whose first answer got lost`,
  );
  const documentId = run.documents[0] ?? '';
  const again = await holdfast.submit(runRequest(document, documentId), key);
  terminal.say(
    again.replayed && again.run.id === run.id
      ? `  The same Idempotency-Key found the first run: ${again.run.id}. Nothing is done twice.`
      : `  Unexpected: this made another run, ${again.run.id}.`,
  );
}

function runRequest(document: DemoDocument, documentId: string): object {
  return {
    workflow: 'tender-compliance',
    input: {},
    documents: [documentId],
    reference: document.fileName,
  };
}

async function showEnd(options: StoryOptions, told: ToldRun, run: RunView): Promise<void> {
  const { holdfast, terminal, resultFolder } = options;
  heading(
    terminal,
    `${told.document.fileName}: ${run.status === 'completed' ? 'its compliance matrix' : run.message}`,
  );
  if (run.status !== 'completed') {
    terminal.say(`  ${run.failure?.code ?? run.status}: ${run.failure?.message ?? 'no result'}`);
    return terminal.say(`  ${run.links.self}`);
  }
  const result = await holdfast.result<TenderComplianceResult>(run.id);
  terminal.say(`  ${matrixTitle(result)}`);
  for (const line of matrixHead(result, terminal.columns - 2)) terminal.say(`  ${line}`);
  await mkdir(resultFolder, { recursive: true });
  const file = join(resultFolder, `${told.document.fileName}.${run.id}.json`);
  await writeFile(file, JSON.stringify(result, null, 2));
  terminal.say(terminal.paint('dim', `  The whole: ${holdfast.resultUrl(run.id)}`));
  terminal.say(terminal.paint('dim', `             ${relative(process.cwd(), file)}`));
}

async function showCharges(
  { terminal }: StoryOptions,
  simulator: SimulatorHttp,
  ends: readonly { readonly run: RunView }[],
): Promise<void> {
  const calls = await simulator.chargesByCall(ends.map(({ run }) => run.id));
  const twice = calls.filter((count) => count > 1).length;
  heading(terminal, 'What was paid');
  terminal.say(
    `  ${calls.length} model calls, by the simulator's own count; paid more than once: ${twice === 0 ? 'none' : twice}.`,
  );
}

function heading(terminal: Terminal, text: string): void {
  terminal.say();
  terminal.say(terminal.paint('bold', text));
}
