/**
 * The storm itself: callers ask while processes and servers are struck; then everything comes to rest, and the facts are gathered.
 *
 * (S1) Blows to processors and servers come one after the other, each healed before the next, so that a recovery is that of one
 *      kill while others live. Blows to apis, and stops of OpenAI, come beside them.
 * (S2) The last blow is healed before the end; after it only time passes. What has not come to rest then is a breach.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Database } from '#libs/postgres';
import { collectFacts } from '../oracle/collect-facts.js';
import type { Facts } from '../oracle/facts.js';
import type { Scene } from '../support/holdfast.js';
import { RunsClient } from '../support/runs-client.js';
import type { Servers } from '../support/servers.js';
import { SimulatorClient } from '../support/simulator-client.js';
import { TopicWatch } from '../support/topic-watch.js';
import type { WebhookReceiver } from '../support/webhook-receiver.js';
import { Fleet } from './fleet.js';
import { Load } from './load.js';
import { killAndMeasure } from './recovery.js';
import {
  apiBlows,
  badDay,
  badReceiver,
  drawn,
  openAiBlows,
  serverBlows,
  stopOf,
  type ApiBlow,
  type ServerBlow,
  type StormOrder,
} from './storm-plan.js';

/** Retries of the longest tiers included, and calls whose conversations are asked until their own time is over. */
const restLimitMs = 420_000;
const readLimitMs = 120_000;
const tellEveryMs = 1_000;
const document = ['# 1 Scope', '# 2 Terms', '# 3 Delivery', '# 4 Price']
  .map((heading) => `${heading}\n\nThe supplier shall deliver what is asked for in ${heading}.\n`)
  .join('\n');

export interface StormResult {
  readonly facts: Facts;
  /** Answers that no caller should get, and processes that ended by themselves. */
  readonly surprises: readonly string[];
  readonly blows: Readonly<Record<string, number>>;
}

export class Storm {
  private readonly database: Database;
  private readonly simulator: SimulatorClient;
  private readonly blows: Record<string, number> = {};
  private readonly recoveriesMs: number[] = [];
  private readonly surprises: string[] = [];
  private newest = 'calm';
  private readonly startedAt = performance.now();

  constructor(
    private readonly order: StormOrder,
    private readonly scene: Scene,
    private readonly servers: Servers,
    private readonly receiver: WebhookReceiver,
    private readonly tell: (line: string) => void,
    private readonly signal: AbortSignal,
  ) {
    const url = scene.database.url;
    this.database = new Database({ url, applicationName: 'storm', onError: () => undefined });
    this.simulator = new SimulatorClient(scene.simulatorUrl);
  }

  async run(): Promise<StormResult> {
    const fleet = await Fleet.start(this.scene, this.order.seed);
    const { id: documentId } = await new RunsClient(this.scene.apiUrl).upload(document, 'storm.md');
    await this.simulator.script(...badDay(this.order.seed));
    this.receiver.always(badReceiver(this.order.seed));
    const load = new Load({
      ...{ order: this.order, documentId, signal: this.signal },
      urls: () => fleet.urls,
    });
    const over = new AbortController();
    const telling = this.tellUntil(over.signal, load);
    try {
      await Promise.all([
        ...[load.run(), this.strikeServers(fleet), this.strikeApis(fleet), this.stopOpenAi()],
      ]);
      this.newest = 'calm again';
      await this.simulator.clearScript();
      await this.untilAtRest();
      return {
        facts: await this.facts(load),
        surprises: [...load.surprises, ...this.surprises],
        blows: this.blows,
      };
    } finally {
      over.abort();
      await telling;
      await this.database.close();
    }
  }

  private async strikeServers(fleet: Fleet): Promise<void> {
    for (const { blow, pick, restMs } of drawn(serverBlows, this.order.seed)) {
      if (this.isOver()) return;
      this.note(blow);
      await this.strikeServer(blow, pick, fleet);
      await this.rest(restMs);
    }
  }

  private async strikeServer(blow: ServerBlow, pick: number, fleet: Fleet): Promise<void> {
    switch (blow) {
      case 'kill_processor': {
        const processor = fleet.processorAt(pick);
        const recoveryMs = await killAndMeasure(processor, this.database);
        if (recoveryMs !== null) this.recoveriesMs.push(recoveryMs);
        return fleet.replace(processor);
      }
      case 'freeze_processor':
        return fleet.freezeProcessor(pick);
      case 'drain_processor':
        return fleet.drainProcessor(pick);
      case 'restart_kafka':
        return this.servers.kafka.restart();
      case 'restart_postgres':
        return this.servers.postgres.restart();
    }
  }

  private async strikeApis(fleet: Fleet): Promise<void> {
    for (const { blow, pick, restMs } of drawn(apiBlows, this.order.seed + 1)) {
      await this.rest(restMs * 2);
      if (this.isOver()) return;
      this.note(blow);
      await strikeApi(blow, pick, fleet);
    }
  }

  private async stopOpenAi(): Promise<void> {
    for (const { blow, restMs } of drawn(openAiBlows, this.order.seed + 2)) {
      await this.rest(restMs * 2);
      if (this.isOver()) return;
      this.note(blow);
      await this.simulator.script(...stopOf(blow));
      await this.rest(restMs);
      await this.simulator.clearScript();
      await this.simulator.script(...badDay(this.order.seed));
    }
  }

  private note(blow: string): void {
    this.newest = blow.replace('_', ' ');
    this.blows[blow] = (this.blows[blow] ?? 0) + 1;
  }

  private isOver(): boolean {
    const lasted = performance.now() - this.startedAt;
    return this.signal.aborted || lasted > this.order.minutes * 60_000;
  }

  private async rest(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.signal }).catch(() => undefined);
  }

  /** (S2) */
  private async untilAtRest(): Promise<void> {
    const until = performance.now() + restLimitMs;
    while (performance.now() < until && !this.signal.aborted) {
      await this.database.query(SOON);
      const { moving } = await this.counts();
      if (moving === 0) return;
      await sleep(500);
    }
  }

  private async facts(load: Load): Promise<Facts> {
    const watch = await TopicWatch.open(this.scene.topicPrefix);
    try {
      await watch.upToDate(readLimitMs);
      return await collectFacts({
        ...{ database: this.database, simulator: this.simulator, records: watch.seen },
        ...{ answers: load.answers, recoveriesMs: this.recoveriesMs },
        deliveries: this.receiver.received,
      });
    } finally {
      await watch.close();
    }
  }

  private async tellUntil(signal: AbortSignal, load: Load): Promise<void> {
    while (!signal.aborted) {
      const seconds = Math.round((performance.now() - this.startedAt) / 1000);
      const { ended, review, moving } = await this.counts().catch(() => unknownCounts);
      this.tell(
        `${seconds} s · accepted ${load.answered} of ${this.order.runs} (asked again ${load.again}) · ended ${ended} · needs review ${review} · moving ${moving} · ${this.newest}`,
      );
      await sleep(tellEveryMs, undefined, { signal }).catch(() => undefined);
    }
  }

  private async counts(): Promise<Counts> {
    const { rows } = await this.database.query<{ ended: number; review: number; moving: number }>(
      COUNTS,
    );
    return rows[0] ?? unknownCounts;
  }
}

async function strikeApi(blow: ApiBlow, pick: number, fleet: Fleet): Promise<void> {
  switch (blow) {
    case 'kill_api':
      return fleet.killApi(pick);
    case 'freeze_api':
      return fleet.freezeApi(pick);
  }
}

type Counts = Readonly<Record<'ended' | 'review' | 'moving', number | string>>;
const unknownCounts: Counts = { ended: '?', review: '?', moving: '?' };

/** As if it were later: what runs at rest have spent is compared with the ledger in growing pauses. */
const SOON = `UPDATE processor.unsettled_runs SET due_at = now() WHERE due_at > now() + interval '30 seconds'`;

/** By the api's view; what is still in an outbox moves, too, and spend of which the ledger knows more than was told. */
const COUNTS = `SELECT count(*) FILTER (WHERE status IN ('completed', 'failed', 'cancelled'))::int AS ended,
    count(*) FILTER (WHERE status = 'needs_review')::int AS review,
    (count(*) FILTER (WHERE status IN ('queued', 'running', 'retrying'))
      + (SELECT count(*) FROM api.outbox) + (SELECT count(*) FROM processor.outbox)
      + (SELECT count(*) FROM (SELECT run_id, sum(coalesce(cost, 0)) AS booked FROM processor.calls GROUP BY run_id) c
          FULL JOIN (SELECT run_id, sum(booked) AS booked FROM api.run_spend GROUP BY run_id) s USING (run_id)
          WHERE coalesce(c.booked, 0) <> coalesce(s.booked, 0)))::int AS moving
  FROM api.runs`;
