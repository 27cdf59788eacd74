/** Holdfast as a caller sees it, over HTTP. Refusals are answers here, not errors: specs look at them. */
import { randomUUID } from 'node:crypto';
import type {
  DecisionReceipt,
  DecisionView,
  DocumentView,
  ProblemBody,
  RunDecisions,
  RunHistory,
  RunHistoryEntry,
  RunView,
} from '#libs/contracts';
import type { DecisionName } from '#libs/domain';
import { readEvents } from '../../dev/demo/event-stream.js';
import { patienceMs } from './patience.js';

export interface SubmitAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly location: string | null;
  readonly replayed: boolean;
  readonly body: RunView | ProblemBody;
}

export interface RunRequestBody {
  readonly workflow: string;
  readonly input: object;
  readonly documents?: readonly string[];
  readonly reference?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly budget?: { readonly maxCostUsd: string };
}

export class RunsClient {
  constructor(private readonly apiUrl: string) {}

  async upload(text: string, fileName: string): Promise<DocumentView> {
    const form = new FormData();
    form.set('file', new Blob([text], { type: 'text/markdown' }), fileName);
    return this.read('/v1/documents', { method: 'POST', body: form });
  }

  async submit(body: RunRequestBody, key: string = randomUUID()): Promise<SubmitAnswer> {
    const answer = await this.send('/v1/runs', {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': key },
      body: JSON.stringify(body),
    });
    return {
      status: answer.status,
      contentType: answer.headers.get('content-type') ?? '',
      location: answer.headers.get('location'),
      replayed: answer.headers.get('idempotency-replayed') === 'true',
      body: (await answer.json()) as RunView | ProblemBody,
    };
  }

  /** A run of one question, accepted. */
  async ask(question: string): Promise<RunView> {
    return this.accepted({ workflow: 'answer', input: { question } });
  }

  /** A compliance matrix of a document, accepted. */
  async readTender(text: string, fileName = 'tender.md'): Promise<RunView> {
    const document = await this.upload(text, fileName);
    return this.accepted({ workflow: 'tender-compliance', input: {}, documents: [document.id] });
  }

  async view(runId: string): Promise<{ readonly run: RunView; readonly etag: string | null }> {
    const answer = await this.send(`/v1/runs/${runId}`);
    if (!answer.ok) throw new Error(`GET ${runId}: ${answer.status} ${await answer.text()}`);
    return { run: (await answer.json()) as RunView, etag: answer.headers.get('etag') };
  }

  async result<T>(runId: string): Promise<T> {
    return this.read(`/v1/runs/${runId}/result`);
  }

  async history(runId: string): Promise<readonly RunHistoryEntry[]> {
    return (await this.read<RunHistory>(`/v1/runs/${runId}/events`)).events;
  }

  /** The run's event stream from its beginning, up to the first entry that fits. */
  async streamUntil(
    runId: string,
    what: string,
    fits: (entry: RunHistoryEntry) => boolean,
    withinMs = patienceMs,
  ): Promise<readonly RunHistoryEntry[]> {
    const seen: RunHistoryEntry[] = [];
    const limit = AbortSignal.timeout(withinMs);
    try {
      for await (const { data } of readEvents(this.eventsUrl(runId), null, limit)) {
        const entry = JSON.parse(data) as RunHistoryEntry;
        seen.push(entry);
        if (fits(entry)) return seen;
      }
    } catch (error) {
      if (!limit.aborted) throw error;
    }
    const told = seen.map(({ version, type, message }) => `${version} ${type}: ${message}`);
    const end = limit.aborted ? `within ${withinMs} ms` : 'before the stream ended';
    throw new Error(`${runId}: no ${what} ${end}; it told:\n${told.join('\n')}`);
  }

  /** Its whole stream, to the run's completion. */
  completion(runId: string, withinMs?: number): Promise<readonly RunHistoryEntry[]> {
    return this.streamUntil(runId, 'completion', ({ status }) => status === 'completed', withinMs);
  }

  /** Decides about a run, and is taken at its word. */
  async decide(runId: string, decision: DecisionName, body: object = {}): Promise<DecisionReceipt> {
    return this.read(`/v1/runs/${runId}/${decision}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  }

  async decisions(runId: string): Promise<readonly DecisionView[]> {
    return (await this.read<RunDecisions>(`/v1/runs/${runId}/decisions`)).decisions;
  }

  private async accepted(body: RunRequestBody): Promise<RunView> {
    const answer = await this.submit(body);
    if (answer.status === 202) return answer.body as RunView;
    throw new Error(`POST /v1/runs: ${answer.status} ${JSON.stringify(answer.body)}`);
  }

  private eventsUrl(runId: string): string {
    return `${this.apiUrl}/v1/runs/${runId}/events`;
  }

  private async read<T>(path: string, init: RequestInit = {}): Promise<T> {
    const answer = await this.send(path, init);
    if (answer.ok) return (await answer.json()) as T;
    throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  }

  private send(path: string, init: RequestInit = {}): Promise<Response> {
    return fetch(this.apiUrl + path, { ...init, signal: AbortSignal.timeout(patienceMs) });
  }
}
