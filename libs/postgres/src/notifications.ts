/**
 * "There is something new, look": hints between processes over LISTEN and NOTIFY. A hint may be lost, late or
 * doubled, so nothing may rest on it: every reader also polls.
 *
 * (N1) One connection of its own, which heals by itself; no business transaction ever runs NOTIFY, for that
 *      takes a lock on the whole cluster until it has committed.
 * (N2) At most one NOTIFY per channel and 20 ms, and the last call is always followed by one.
 * (N3) Whatever was missed while the connection was away: after each connect every listener is called once.
 */
import pg from 'pg';
import { pause } from './pause.js';

export interface NotificationsOptions {
  readonly url: string;
  /** What `pg_stat_activity` shows. Default `holdfast.notifications`. */
  readonly applicationName?: string;
  /** Told why the connection was lost, or could not be made; for the log. Default: nobody. */
  readonly onError?: (error: Error) => void;
}

const COALESCE_MS = 20;
const FIRST_RECONNECT_MS = 100;
const MAX_RECONNECT_MS = 5_000;
/** A connection whose other end has vanished looks alive to whoever only listens: it is asked now and then. */
const HEARTBEAT_MS = 10_000;
const QUERY_TIMEOUT_MS = 5_000;

export class Notifications {
  private readonly listeners = new Map<string, ((payload: string) => void)[]>();
  /** Channels somebody has called `notify` for since the last NOTIFY. */
  private readonly due = new Set<string>();
  private readonly closing = new AbortController();
  private running: Promise<void> | null = null;
  /** Cuts the connection's present wait short: there is something to send or to listen to. */
  private wake: () => void = () => undefined;

  constructor(private readonly options: NotificationsOptions) {}

  /** Calls `onNotify` for each NOTIFY on the channel, and once after each connect (N3), then with ''. */
  listen(channel: string, onNotify: (payload: string) => void): void {
    const known = this.listeners.get(channel);
    if (known === undefined) this.listeners.set(channel, [onNotify]);
    else known.push(onNotify);
    this.start();
  }

  /** Tells whoever listens, in this process and in others; soon, and with no word of whether it arrived. */
  notify(channel: string): void {
    this.due.add(channel); // (N2)
    this.start();
  }

  /** Ends the connection. Hints not yet sent are dropped. */
  async close(): Promise<void> {
    this.closing.abort();
    await this.running;
  }

  private start(): void {
    if (this.closing.signal.aborted) return;
    this.running ??= this.stayConnected(this.closing.signal);
    this.wake();
  }

  private async stayConnected(signal: AbortSignal): Promise<void> {
    let failures = 0;
    while (!signal.aborted) {
      try {
        await this.holdConnection(signal, () => (failures = 0));
      } catch (error) {
        this.options.onError?.(error as Error);
        const ceilingMs = Math.min(MAX_RECONNECT_MS, FIRST_RECONNECT_MS * 2 ** failures++);
        await pause(ceilingMs * (0.5 + Math.random() / 2), signal);
      }
    }
  }

  /** From connect to loss, which rejects, or to close, which resolves. */
  private async holdConnection(signal: AbortSignal, onConnected: () => void): Promise<void> {
    const client = new pg.Client({
      connectionString: this.options.url,
      application_name: this.options.applicationName ?? 'holdfast.notifications',
      connectionTimeoutMillis: QUERY_TIMEOUT_MS,
      query_timeout: QUERY_TIMEOUT_MS,
      keepAlive: true,
    });
    const lost = new AbortController();
    client.on('error', (error) => lost.abort(error));
    client.on('notification', ({ channel, payload }) => this.deliver(channel, payload ?? ''));
    try {
      await client.connect();
      onConnected();
      await this.listenAndSend(client, AbortSignal.any([signal, lost.signal]));
      if (!signal.aborted) lost.signal.throwIfAborted();
    } finally {
      await client.end().catch(() => undefined); // it may be gone already
    }
  }

  /** One statement at a time; what arrives meanwhile goes with the next. */
  private async listenAndSend(client: pg.Client, over: AbortSignal): Promise<void> {
    const listening = new Set<string>();
    while (!over.aborted) {
      for (const channel of this.listeners.keys()) {
        if (listening.has(channel)) continue;
        await client.query(`LISTEN ${pg.escapeIdentifier(channel)}`);
        listening.add(channel);
        this.deliver(channel, ''); // (N3)
      }
      await this.sendDue(client);
      await pause(COALESCE_MS, over); // (N2)
      const idle = this.due.size === 0 && this.listeners.size === listening.size;
      if (idle && !over.aborted) await this.untilWoken(over);
    }
  }

  private async sendDue(client: pg.Client): Promise<void> {
    const channels = [...this.due];
    this.due.clear();
    try {
      await client.query(SEND, [channels]);
    } catch (error) {
      channels.forEach((channel) => this.due.add(channel)); // sent on the next connection
      throw error;
    }
  }

  private async untilWoken(over: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, HEARTBEAT_MS);
    const ended = () => resolve();
    over.addEventListener('abort', ended, { once: true });
    this.wake = resolve;
    await promise;
    over.removeEventListener('abort', ended);
    clearTimeout(timer);
  }

  private deliver(channel: string, payload: string): void {
    for (const onNotify of this.listeners.get(channel) ?? []) onNotify(payload);
  }
}

/** With no channel it sends nothing, and is the heartbeat. */
const SEND = `SELECT pg_notify(channel, '') FROM unnest($1::text[]) AS channel`;
