import { Controller, Get, Inject, Res, ServiceUnavailableException } from '@nestjs/common';
import {
  HealthCheckService,
  HealthIndicatorService,
  type HealthCheckResult,
} from '@nestjs/terminus';
import type { FastifyReply } from 'fastify';
import {
  consumerProblem,
  KafkaTransportStrategy,
  lagOf,
  outboxProblem,
  OutboxRelay,
} from '#libs/messaging';
import { Database, databaseProblem, migrationsProblem } from '#libs/postgres';
import { Draining } from '#libs/process';
import { CONTENT_DATABASE } from '../connections.module.js';
import { COMMANDS_CONSUMER } from '../consumers.js';
import { schemasOf } from '../schema/index.js';
import { API_SETTINGS, type ApiSettings } from '../settings.js';
import { STUCK_FACTS, type StuckFacts } from './stuck-facts.js';

/**
 * For whatever runs the process; what is not well says why in words. Readiness asks "can it take requests?": that needs Postgres,
 * its schemas and the content store, and no drain. Kafka away is `degraded`, not down: runs are accepted all the same and wait in
 * the outbox. OpenAI is the processor's: it is not asked.
 */
@Controller()
export class ReportHealthController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly indicators: HealthIndicatorService,
    private readonly database: Database,
    @Inject(CONTENT_DATABASE) private readonly contentDatabase: Database,
    private readonly relay: OutboxRelay,
    private readonly events: KafkaTransportStrategy,
    @Inject(COMMANDS_CONSUMER) private readonly commands: KafkaTransportStrategy,
    @Inject(STUCK_FACTS) private readonly stuck: StuckFacts,
    private readonly draining: Draining,
    @Inject(API_SETTINGS) private readonly settings: ApiSettings,
  ) {}

  /** The process runs and its event loop turns. */
  @Get('livez')
  live(): { status: 'ok' } {
    return { status: 'ok' };
  }

  @Get('readyz')
  ready(@Res({ passthrough: true }) reply: FastifyReply): Promise<HealthCheckResult> {
    return this.check(reply, [
      () => this.needed('postgres', databaseProblem(this.database)),
      () => this.needed('content', databaseProblem(this.contentDatabase)),
      () => this.needed('migrations', this.schemasProblem()),
      () => this.needed('draining', Promise.resolve(this.draining.problem)),
      () => this.publishing(),
      () => this.consuming('kafka', this.events, 'views may be behind'),
      () => this.consuming('commands', this.commands, 'requests over Kafka wait'),
      () => this.hearing(),
    ]);
  }

  /** It has come up once: Postgres answers, schemas are there, and both consumers have had an assignment. */
  @Get('startupz')
  started(@Res({ passthrough: true }) reply: FastifyReply): Promise<HealthCheckResult> {
    return this.check(reply, [
      () => this.needed('postgres', databaseProblem(this.database)),
      () => this.needed('migrations', this.schemasProblem()),
      () => this.needed('kafka', Promise.resolve(notAssignedYet(this.events))),
      () => this.needed('commands', Promise.resolve(notAssignedYet(this.commands))),
    ]);
  }

  private async check(
    reply: FastifyReply,
    indicators: Parameters<HealthCheckService['check']>[0],
  ): Promise<HealthCheckResult> {
    void reply.header('Cache-Control', 'no-store');
    try {
      return await this.health.check(indicators);
    } catch (error) {
      if (!(error instanceof ServiceUnavailableException)) throw error;
      void reply.code(503);
      return error.getResponse() as HealthCheckResult;
    }
  }

  private async needed(name: string, asked: Promise<string | null>) {
    const problem = await asked;
    const indicator = this.indicators.check(name);
    return problem === null ? indicator.up() : indicator.down(problem);
  }

  private schemasProblem(): Promise<string | null> {
    const databases: Readonly<Record<string, Database>> = { content: this.contentDatabase };
    return migrationsProblem(
      schemasOf(this.settings).map(({ schema, migrations }) => ({
        ...{ schema, migrations },
        database: databases[schema] ?? this.database,
      })),
    );
  }

  private async publishing() {
    const status = this.relay.status();
    const oldestMs = Math.round(await this.relay.oldestMs().catch(() => 0)); // `postgres` tells of it
    const problem = outboxProblem(status, oldestMs);
    const facts = { leading: status.leading, oldestMs };
    const indicator = this.indicators.check('outbox');
    return problem === null
      ? indicator.up(facts)
      : indicator.degraded({ message: problem, ...facts });
  }

  /** Never a reason to take no requests: what is stuck is stuck elsewhere. */
  private async hearing() {
    const { runs, oldest } = await this.stuck.find().catch(() => NOTHING_STUCK); // `postgres` tells of it
    const indicator = this.indicators.check('runs');
    if (oldest === null) return indicator.up({ stuck: 0 });
    const seconds = Math.round(oldest.silentMs / 1_000);
    const message = `nothing is heard of ${runs} ${runs === 1 ? 'run' : 'runs'}, of ${oldest.runId} for ${seconds} s`;
    return indicator.degraded({ message, stuck: runs });
  }

  private consuming(name: string, consumer: KafkaTransportStrategy, consequence: string) {
    const status = consumer.consumerStatus();
    const problem = consumerProblem(status);
    const lag = lagOf(status);
    const indicator = this.indicators.check(name);
    return problem === null
      ? indicator.up({ lag })
      : indicator.degraded({ message: `${problem}; ${consequence}`, lag });
  }
}

const NOTHING_STUCK = { runs: 0, oldest: null };

function notAssignedYet(consumer: KafkaTransportStrategy): string | null {
  const epoch = consumer.consumerStatus()?.assignmentEpoch ?? 0;
  return epoch > 0 ? null : 'no assignment yet';
}
