/** The simulator's control routes: what it shall do wrong, what it was asked, and what OpenAI would have billed. */
import { uuidOf, type RunId } from '#libs/domain';
import type { Charges, Exchange } from '../../dev/simulator/accepted-work.js';
import type { ScriptedFault } from '../../dev/simulator/faults.js';
import type { LoggedRequest } from '../../dev/simulator/responses-api.js';
import type { LimitOrder } from '../../dev/simulator/rate-limits.js';
import type { SentWebhook, WebhookOrder } from '../../dev/simulator/webhooks.js';

export class SimulatorClient {
  constructor(private readonly url: string) {}

  async script(...faults: readonly ScriptedFault[]): Promise<void> {
    await this.send('faults', { method: 'POST', body: JSON.stringify(faults) });
  }

  async clearScript(): Promise<void> {
    await this.send('faults', { method: 'DELETE' });
  }

  /** Ends now what the model has worked on the longest, so many responses; default: all. What hangs is answered. */
  async finish(count?: number): Promise<void> {
    await this.send('finish', { method: 'POST', body: JSON.stringify({ count }) });
  }

  async charges(): Promise<Charges['charges']> {
    return ((await this.send('charges')) as Charges).charges;
  }

  /** Questions and answers of runs that were given an answer that the script dictated. */
  async spoilt(): Promise<readonly Exchange[]> {
    return (await this.send('spoilt')) as readonly Exchange[];
  }

  /** How often each model call of a run was charged, by call id. */
  async chargesOf(runId: string): Promise<Readonly<Record<string, number>>> {
    const charges = await this.charges();
    const counts: Record<string, number> = {};
    for (const charge of charges)
      if (charge.runId === uuidOf(runId as RunId))
        counts[charge.callId ?? 'unnamed'] = (counts[charge.callId ?? 'unnamed'] ?? 0) + 1;
    return counts;
  }

  /** The requests that asked the model for work, in order of arrival, refused ones included. */
  async calls(): Promise<readonly LoggedRequest[]> {
    const log = (await this.send('requests')) as readonly LoggedRequest[];
    return log.filter(({ operation }) => operation === 'create');
  }

  async callsOf(runId: string): Promise<readonly LoggedRequest[]> {
    return (await this.calls()).filter((line) => line.runId === uuidOf(runId as RunId));
  }

  /** What is turned away with 429 from now on; null: nothing. */
  async orderLimits(order: LimitOrder | null): Promise<void> {
    const method = order === null ? 'DELETE' : 'POST';
    await this.send('limits', { method, ...(order && { body: JSON.stringify(order) }) });
  }

  /** For responses that end from now on; null: none is sent. */
  async orderWebhooks(order: WebhookOrder | null): Promise<void> {
    const method = order === null ? 'DELETE' : 'POST';
    await this.send('webhooks', { method, ...(order && { body: JSON.stringify(order) }) });
  }

  /** Deliveries that were tried, in their order. */
  async webhooks(): Promise<readonly SentWebhook[]> {
    return (await this.send('webhooks')) as readonly SentWebhook[];
  }

  private async send(route: string, init: RequestInit = {}): Promise<unknown> {
    const signal = AbortSignal.timeout(10_000);
    const answer = await fetch(`${this.url}/__sim/${route}`, { ...init, signal });
    if (!answer.ok) throw new Error(`/__sim/${route}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  }
}
