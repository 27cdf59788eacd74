/**
 * The callers of a storm: each asks for one run over HTTP and asks again with the same key until it has a 202, whatever happens in
 * between; some ask twice at once, at both apis.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { RunView } from '#libs/contracts';
import { uuidOf, type RunId } from '#libs/domain';
import { seededRandom } from '../../dev/simulator/seeded-random.js';
import type { Facts } from '../oracle/facts.js';
import { RunsClient, type RunRequestBody } from '../support/runs-client.js';
import type { StormOrder } from './storm-plan.js';

const twiceShare = 0.1;
const tenderShare = 0.02;
const quickShare = 0.3;
/** Those that tell somebody outside; of half of them it may happen twice. */
const notifyShare = 0.1;
/** The load comes in this part of the storm's time; the rest is for what is left. */
const loadShare = 0.95;

export interface LoadOptions {
  readonly order: StormOrder;
  /** The apis that live at this moment. */
  readonly urls: () => readonly string[];
  /** A document that is stored already, for the runs with many calls. */
  readonly documentId: string;
  readonly signal: AbortSignal;
}

/** These have a budget, for two tries of their one call: some of those that meet faults go before a person. */
const budgetShare = 0.5;
const budget = { maxCostUsd: '0.12' };

export class Load {
  readonly answers: Facts['answers'][number][] = [];
  /** Requests that got no 202 and were made again. */
  again = 0;
  /** Answers that no caller should ever get. */
  readonly surprises: string[] = [];
  private readonly random: () => number;

  constructor(private readonly options: LoadOptions) {
    this.random = seededRandom(options.order.seed);
  }

  /** Keys that have their answer. */
  get answered(): number {
    return new Set(this.answers.map(({ key }) => key)).size;
  }

  /** Resolves when every caller has its answer. */
  async run(): Promise<void> {
    const { order, signal } = this.options;
    const everyMs = (order.minutes * 60_000 * loadShare) / order.runs;
    const startedAt = performance.now();
    const callers: Promise<unknown>[] = [];
    for (let number = 0; number < order.runs && !signal.aborted; number += 1) {
      const waitMs = startedAt + number * everyMs - performance.now();
      if (waitMs > 1) await sleep(waitMs, undefined, { signal }).catch(() => undefined);
      const body = this.bodyOf(number);
      const asks = this.random() < twiceShare ? 2 : 1;
      for (let ask = 0; ask < asks; ask += 1) callers.push(this.askUntilAnswered(number, body));
    }
    await Promise.all(callers);
  }

  private bodyOf(number: number): RunRequestBody {
    const drawn = this.random();
    if (drawn < tenderShare)
      return { workflow: 'tender-compliance', input: {}, documents: [this.options.documentId] };
    const input = { question: `What is question ${number}?` };
    if (drawn > 1 - notifyShare)
      return { workflow: drawn > 1 - notifyShare / 2 ? 'notify-once' : 'notify-again', input };
    const workflow = drawn < tenderShare + quickShare ? 'quick-answer' : 'answer';
    return drawn < budgetShare ? { workflow, input, budget } : { workflow, input };
  }

  private async askUntilAnswered(number: number, body: RunRequestBody): Promise<void> {
    const { order, signal } = this.options;
    const key = `storm-${order.seed}-${number}`;
    while (!signal.aborted) {
      if (await this.ask(key, body)) return;
      this.again += 1;
      await sleep(200 + this.random() * 800, undefined, { signal }).catch(() => undefined);
    }
  }

  private async ask(key: string, body: RunRequestBody): Promise<boolean> {
    const urls = this.options.urls();
    const url = urls[Math.floor(this.random() * urls.length)];
    if (url === undefined) return false;
    try {
      const answer = await new RunsClient(url).submit(body, key);
      if (answer.status === 202) {
        this.answers.push({ key, runId: uuidOf((answer.body as RunView).id as RunId) });
        return true;
      }
      if (![429, 503].includes(answer.status)) this.surprises.push(`${key}: HTTP ${answer.status}`);
      return false;
    } catch {
      return false; // no answer: the api was struck
    }
  }
}
