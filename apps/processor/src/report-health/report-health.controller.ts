import { Controller, Get, Inject } from '@nestjs/common';
import { HealthCheck, HealthCheckService, HealthIndicatorService } from '@nestjs/terminus';
import { KafkaTransportStrategy, OutboxRelay } from '#libs/messaging';
import { Database } from '#libs/postgres';
import { CONTENT_DATABASE } from '../connections.module.js';
import { RETRY_CONSUMER, WORK_CONSUMER } from '../consumers.js';
import { WORK_FACTS, type WorkFacts } from './work-facts.js';

const PING_TIMEOUT_MS = 2_000;

/**
 * For whatever runs the process. It can work while it reaches Postgres and the content store. Kafka away is `degraded`: runs in
 * hand go on and what they tell waits in the outbox. OpenAI is not asked at all: its outage is no fault of this process.
 */
@Controller()
export class ReportHealthController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly indicators: HealthIndicatorService,
    private readonly database: Database,
    @Inject(CONTENT_DATABASE) private readonly contentDatabase: Database,
    private readonly relay: OutboxRelay,
    @Inject(WORK_CONSUMER) private readonly work: KafkaTransportStrategy,
    @Inject(RETRY_CONSUMER) private readonly retries: KafkaTransportStrategy,
    @Inject(WORK_FACTS) private readonly facts: WorkFacts,
  ) {}

  /** The process runs and its event loop turns. */
  @Get('livez')
  live(): { status: 'ok' } {
    return { status: 'ok' };
  }

  @Get('readyz')
  @HealthCheck()
  ready() {
    return this.health.check([
      () => this.ping('postgres', this.database),
      () => this.ping('content', this.contentDatabase),
      () => this.publishing(),
      () => this.consuming('work', this.work),
      () => this.consuming('retries', this.retries),
      () => this.working(),
    ]);
  }

  /** It has come up once: Postgres answers and both consumers have had an assignment. */
  @Get('startupz')
  @HealthCheck()
  started() {
    return this.health.check([
      () => this.ping('postgres', this.database),
      () => this.assigned('work', this.work),
      () => this.assigned('retries', this.retries),
    ]);
  }

  private ping(name: string, database: Database) {
    return this.indicators
      .check(name)
      .attempt(async () => void (await database.query('SELECT 1')))
      .withTimeout(PING_TIMEOUT_MS);
  }

  private working() {
    const { inHand, rescued } = this.facts;
    return this.indicators.check('runs').up({ inHand: inHand(), rescued: rescued() });
  }

  private publishing() {
    const { leading, failure } = this.relay.status();
    const indicator = this.indicators.check('outbox');
    return failure === null ? indicator.up({ leading }) : indicator.degraded(failure);
  }

  private consuming(name: string, consumer: KafkaTransportStrategy) {
    const status = consumer.consumerStatus();
    const indicator = this.indicators.check(name);
    if (!status?.joined) return indicator.degraded('no assignment: new work is not admitted');
    const lag = status.partitions.reduce((sum, partition) => sum + (partition.lag ?? 0), 0);
    return indicator.up({ lag, waiting: status.waiting });
  }

  private assigned(name: string, consumer: KafkaTransportStrategy) {
    const epoch = consumer.consumerStatus()?.assignmentEpoch ?? 0;
    const indicator = this.indicators.check(name);
    return epoch > 0 ? indicator.up() : indicator.down('no assignment yet');
  }
}
