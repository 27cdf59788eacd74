/** Follows all runs at once by their event streams, until each has ended or waits for a person. */
import type { RunView } from '#libs/contracts';
import type { DemoDocument } from './demo-request.js';
import type { HoldfastHttp } from './holdfast-http.js';
import { deservesLine, newsOf, progressBar } from './run-board.js';
import type { RunNews } from './run-board.js';
import type { Paint, Terminal } from './terminal.js';

/** A document and the run that was asked for with it. */
export interface ToldRun {
  readonly document: DemoDocument;
  readonly key: string;
  readonly run: RunView;
}

export interface EndedRun {
  readonly told: ToldRun;
  readonly run: RunView;
}

const colours: Readonly<Record<RunView['status'], Paint>> = {
  queued: 'dim',
  running: 'cyan',
  retrying: 'yellow',
  needs_review: 'red',
  completed: 'green',
  failed: 'red',
  cancelled: 'dim',
};

export async function watchRuns(
  runs: readonly ToldRun[],
  { holdfast, terminal }: { readonly holdfast: HoldfastHttp; readonly terminal: Terminal },
): Promise<EndedRun[]> {
  const startedAt = performance.now();
  const latest = new Map<ToldRun, RunNews>();
  const nameWidth = Math.max(...runs.map(({ document }) => document.fileName.length));
  const line = (told: ToldRun, news: RunNews, text: string) => {
    const name = told.document.fileName.padEnd(nameWidth);
    return `  ${name}  ${terminal.paint(colours[news.status], news.status.padEnd(12))}  ${text}`;
  };
  const draw = () =>
    terminal.show(
      [...latest]
        .filter(([, news]) => news.status === 'running' && news.progress?.itemsTotal)
        .map(([told, news]) => ' '.repeat(8) + line(told, news, progressBar(news.progress))),
    );
  const tell = (told: ToldRun, news: RunNews) => {
    const before = latest.get(told);
    latest.set(told, news);
    const seconds = `${((performance.now() - startedAt) / 1000).toFixed(1)} s`.padStart(8);
    draw();
    if (deservesLine(before, news)) terminal.say(seconds + line(told, news, news.message));
  };
  terminal.say();
  terminal.say(terminal.paint('bold', 'Watching the runs'));
  try {
    return await Promise.all(runs.map((told) => followToEnd(told, holdfast, tell)));
  } finally {
    terminal.show([]);
  }
}

async function followToEnd(
  told: ToldRun,
  holdfast: HoldfastHttp,
  tell: (told: ToldRun, news: RunNews) => void,
): Promise<EndedRun> {
  const { run } = told;
  if (run.version === 0) tell(told, { status: run.status, message: run.message, progress: null });
  for await (const entry of holdfast.follow(run.id)) {
    tell(told, newsOf(entry));
    if (entry.status === 'needs_review') break; // a person's turn: the stream would stay open
  }
  return { told, run: await holdfast.view(run.id) };
}
