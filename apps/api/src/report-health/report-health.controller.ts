import { Controller, Get, Inject, Res, ServiceUnavailableException } from '@nestjs/common';
import {
  HealthCheckService,
  HealthIndicatorService,
  type HealthCheckResult,
} from '@nestjs/terminus';
import type { FastifyReply } from 'fastify';
import { KafkaTransportStrategy, OutboxRelay } from '#libs/messaging';
import { Database } from '#libs/postgres';
import { CONTENT_DATABASE } from '../connections.module.js';

const PING_TIMEOUT_MS = 2_000;

/**
 * For whatever runs the process. Readiness asks "can it take requests?": that needs Postgres, and the content store's. Kafka away is `degraded`, not
 * down: runs are accepted all the same and wait in the outbox. OpenAI is not asked at all.
 */
@Controller()
export class ReportHealthController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly indicators: HealthIndicatorService,
    private readonly database: Database,
    @Inject(CONTENT_DATABASE) private readonly contentDatabase: Database,
    private readonly relay: OutboxRelay,
    private readonly consumer: KafkaTransportStrategy,
  ) {}

  /** The process runs and its event loop turns. */
  @Get('livez')
  live(): { status: 'ok' } {
    return { status: 'ok' };
  }

  @Get('readyz')
  ready(@Res({ passthrough: true }) reply: FastifyReply): Promise<HealthCheckResult> {
    return this.check(reply, [
      () => this.ping('postgres', this.database),
      () => this.ping('content', this.contentDatabase),
      () => this.publishing(),
      () => this.projecting(),
    ]);
  }

  /** It has come up once: Postgres answers and the consumer has had its first assignment. */
  @Get('startupz')
  started(@Res({ passthrough: true }) reply: FastifyReply): Promise<HealthCheckResult> {
    return this.check(reply, [() => this.ping('postgres', this.database), () => this.assigned()]);
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

  private ping(name: 'postgres' | 'content', database: Database) {
    return this.indicators
      .check(name)
      .attempt(async () => void (await database.query('SELECT 1')))
      .withTimeout(PING_TIMEOUT_MS);
  }

  private publishing() {
    const { leading, failure } = this.relay.status();
    const indicator = this.indicators.check('outbox');
    return failure === null ? indicator.up({ leading }) : indicator.degraded(failure);
  }

  private projecting() {
    const status = this.consumer.consumerStatus();
    const indicator = this.indicators.check('kafka');
    if (!status?.joined)
      return indicator.degraded('the consumer has no assignment: views may be behind');
    const lag = status.partitions.reduce((sum, partition) => sum + (partition.lag ?? 0), 0);
    return indicator.up({ lag });
  }

  private assigned() {
    const indicator = this.indicators.check('kafka');
    const epoch = this.consumer.consumerStatus()?.assignmentEpoch ?? 0;
    return epoch > 0 ? indicator.up() : indicator.down('the consumer has had no assignment yet');
  }
}
