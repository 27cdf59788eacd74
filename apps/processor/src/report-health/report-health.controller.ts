import { Controller, Get, Inject } from '@nestjs/common';
import { HealthCheck, HealthCheckService, HealthIndicatorService } from '@nestjs/terminus';
import {
  consumerProblem,
  KafkaTransportStrategy,
  lagOf,
  outboxProblem,
  OutboxRelay,
} from '#libs/messaging';
import { OpenAiGateway } from '#libs/openai-gateway';
import { Database, databaseProblem, migrationsProblem } from '#libs/postgres';
import { Draining } from '#libs/process';
import { CONTENT_DATABASE } from '../connections.module.js';
import { RETRY_CONSUMER, WORK_CONSUMER } from '../consumers.js';
import { schemasOf } from '../schema/index.js';
import { PROCESSOR_SETTINGS, type ProcessorSettings } from '../settings.js';
import { WORK_FACTS, type WorkFacts } from './work-facts.js';

/**
 * For whatever runs the process; what is not well says why in words. It can work while it reaches Postgres, its schemas and the
 * content store, and renews its leases. Kafka away is `degraded`: runs in hand go on and what they tell waits in the outbox.
 * OpenAI failing is `degraded` too, never down: its outage is no fault of this process, and a restart would mend nothing.
 */
@Controller()
export class ReportHealthController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly indicators: HealthIndicatorService,
    private readonly database: Database,
    @Inject(CONTENT_DATABASE) private readonly contentDatabase: Database,
    private readonly relay: OutboxRelay,
    private readonly gateway: OpenAiGateway,
    @Inject(WORK_CONSUMER) private readonly work: KafkaTransportStrategy,
    @Inject(RETRY_CONSUMER) private readonly retries: KafkaTransportStrategy,
    @Inject(WORK_FACTS) private readonly facts: WorkFacts,
    private readonly draining: Draining,
    @Inject(PROCESSOR_SETTINGS) private readonly settings: ProcessorSettings,
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
      () => this.needed('postgres', databaseProblem(this.database)),
      () => this.needed('content', databaseProblem(this.contentDatabase)),
      () => this.needed('migrations', this.schemasProblem()),
      () => this.needed('draining', Promise.resolve(this.draining.problem)),
      () => this.needed('leases', Promise.resolve(this.facts.leasesProblem())),
      () => this.publishing(),
      () => this.consuming('work', this.work),
      () => this.consuming('retries', this.retries),
      () => this.askingOpenAi(),
      () => this.working(),
    ]);
  }

  /** It has come up once: Postgres answers, schemas are there, and both consumers have had an assignment. */
  @Get('startupz')
  @HealthCheck()
  started() {
    return this.health.check([
      () => this.needed('postgres', databaseProblem(this.database)),
      () => this.needed('migrations', this.schemasProblem()),
      () => this.needed('work', Promise.resolve(notAssignedYet(this.work))),
      () => this.needed('retries', Promise.resolve(notAssignedYet(this.retries))),
    ]);
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

  private working() {
    const { inHand, rescued } = this.facts;
    return this.indicators.check('runs').up({ inHand: inHand(), rescued: rescued() });
  }

  private askingOpenAi() {
    const { problem, answeredAgoMs } = this.gateway.health();
    const waiting = this.gateway.pools().reduce((sum, pool) => sum + pool.waiting, 0);
    const facts = { answeredAgoMs, waiting };
    const indicator = this.indicators.check('openai');
    const latched = this.gateway.latches().map(({ account, model, class: failed, latchedAt }) => ({
      ...{ lane: model === null ? account : `${account}/${model}`, class: failed },
      since: latchedAt.toISOString(),
    }));
    const message = latched.length > 0 ? latchedWords(latched) : problem;
    return message === null
      ? indicator.up(facts)
      : indicator.degraded({ message, ...facts, latched });
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

  private consuming(name: string, consumer: KafkaTransportStrategy) {
    const status = consumer.consumerStatus();
    const problem = consumerProblem(status);
    const facts = { lag: lagOf(status), waiting: status?.waiting ?? 0 };
    const indicator = this.indicators.check(name);
    return problem === null
      ? indicator.up(facts)
      : indicator.degraded({ message: problem, ...facts });
  }
}

function latchedWords(latched: readonly { lane: string; class: string; since: string }[]): string {
  const each = latched.map((one) => `${one.lane} (${one.class}) since ${one.since}`);
  return `latched: ${each.join(', ')}: its runs wait until it is released`;
}

function notAssignedYet(consumer: KafkaTransportStrategy): string | null {
  const epoch = consumer.consumerStatus()?.assignmentEpoch ?? 0;
  return epoch > 0 ? null : 'no assignment yet';
}
