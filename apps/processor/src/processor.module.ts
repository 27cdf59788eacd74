import { Module, type DynamicModule } from '@nestjs/common';
import type { JsonLog } from '#libs/process';
import { AdmitRunsModule } from './admit-runs/admit-runs.module.js';
import { CloseCallsModule } from './close-calls/close-calls.module.js';
import { ConnectionsModule, type OnFatal } from './connections.module.js';
import { Drain } from './drain.js';
import { ExecuteRunsModule } from './execute-runs/execute-runs.module.js';
import { GovernGatewayModule } from './govern-gateway/govern-gateway.module.js';
import { ReceiveWebhooksModule } from './receive-webhooks/receive-webhooks.module.js';
import { RemoveExpiredModule } from './remove-expired/remove-expired.module.js';
import { ReportHealthModule } from './report-health/report-health.module.js';
import { ReportMetricsModule } from './report-metrics/report-metrics.module.js';
import { RescueRunsModule } from './rescue-runs/rescue-runs.module.js';
import { SettleSpendModule } from './settle-spend/settle-spend.module.js';
import type { ProcessorSettings } from './settings.js';

/**
 * The processor, read top to bottom: work is admitted, executed, rescued where its owner is gone, told of by OpenAI where a reply
 * was lost, told of what that cost, and in time removed.
 */
@Module({})
export class ProcessorModule {
  static of(settings: ProcessorSettings, log: JsonLog, onFatal: OnFatal): DynamicModule {
    return {
      module: ProcessorModule,
      imports: [
        ConnectionsModule.of(settings, log, onFatal),
        AdmitRunsModule,
        ExecuteRunsModule,
        RescueRunsModule,
        ReceiveWebhooksModule,
        GovernGatewayModule,
        CloseCallsModule,
        SettleSpendModule,
        RemoveExpiredModule,
        ReportHealthModule,
        ReportMetricsModule,
      ],
      providers: [Drain],
    };
  }
}
