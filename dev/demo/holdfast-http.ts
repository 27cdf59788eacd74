/** Holdfast as any caller sees it: its HTTP interface and nothing else. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { DocumentView, RunHistoryEntry, RunView } from '#libs/contracts';
import type { DemoDocument } from './demo-request.js';
import { readEvents } from './event-stream.js';
import type { StreamedEvent } from './event-stream.js';

export interface Submitted {
  readonly run: RunView;
  /** The key had been used: this is the first run again. */
  readonly replayed: boolean;
}

export class HoldfastRefusedError extends Error {
  override readonly name = 'HoldfastRefusedError';
  readonly code = 'holdfast_refused';
  constructor(
    what: string,
    readonly status: number,
    body: string,
  ) {
    super(`${what} was answered with ${status}: ${body.slice(0, 2_000)}`);
  }
}

const reconnectMs = 500;
const answerLimitMs = 60_000;

export class HoldfastHttp {
  constructor(
    private readonly apiUrl: string,
    private readonly signal: AbortSignal,
  ) {}

  async upload(document: DemoDocument): Promise<DocumentView> {
    const form = new FormData();
    form.set('file', new Blob([document.bytes], { type: document.mediaType }), document.fileName);
    const answer = await this.send('/v1/documents', { method: 'POST', body: form });
    return (await answer.json()) as DocumentView;
  }

  async submit(body: object, idempotencyKey: string): Promise<Submitted> {
    const answer = await this.send('/v1/runs', {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': idempotencyKey },
      body: JSON.stringify(body),
    });
    const replayed = answer.headers.get('idempotency-replayed') === 'true';
    return { run: (await answer.json()) as RunView, replayed };
  }

  async view(runId: string): Promise<RunView> {
    return (await (await this.send(`/v1/runs/${runId}`)).json()) as RunView;
  }

  resultUrl(runId: string): string {
    return `${this.apiUrl}/v1/runs/${runId}/result`;
  }

  async result<T>(runId: string): Promise<T> {
    return (await (await this.send(`/v1/runs/${runId}/result`)).json()) as T;
  }

  /** What happens to a run, as it happens, resumed after a lost connection; ends with the run. */
  async *follow(runId: string): AsyncGenerator<RunHistoryEntry> {
    const resume = (lastEventId: string | null): AsyncIterable<StreamedEvent> =>
      readEvents(`${this.apiUrl}/v1/runs/${runId}/events`, lastEventId, this.signal);
    let lastEventId: string | null = null;
    while (!this.signal.aborted) {
      for await (const event of resume(lastEventId)) {
        lastEventId = event.id;
        yield JSON.parse(event.data) as RunHistoryEntry;
      }
      const { status } = await this.view(runId);
      if (['completed', 'failed', 'cancelled'].includes(status)) return;
      await sleep(reconnectMs, undefined, { signal: this.signal });
    }
    this.signal.throwIfAborted();
  }

  private async send(path: string, init: RequestInit = {}): Promise<Response> {
    const signal = AbortSignal.any([this.signal, AbortSignal.timeout(answerLimitMs)]);
    const answer = await fetch(this.apiUrl + path, { ...init, signal });
    if (answer.ok) return answer;
    throw new HoldfastRefusedError(
      `${init.method ?? 'GET'} ${path}`,
      answer.status,
      await answer.text(),
    );
  }
}
