import { Module, type DynamicModule } from '@nestjs/common';
import { ConnectionsModule, type OnFatal } from './connections.module.js';
import { DecideRunsModule } from './decide-runs/decide-runs.module.js';
import { DescribeApiModule } from './describe-api/describe-api.module.js';
import { Drain } from './drain.js';
import { FollowRunsModule } from './follow-runs/follow-runs.module.js';
import type { JsonLog } from '#libs/process';
import { ProjectRunsModule } from './project-runs/project-runs.module.js';
import { ReconcileRunsModule } from './reconcile-runs/reconcile-runs.module.js';
import { RemoveExpiredModule } from './remove-expired/remove-expired.module.js';
import { ReportHealthModule } from './report-health/report-health.module.js';
import { ReportUsageModule } from './report-usage/report-usage.module.js';
import { ReportMetricsModule } from './report-metrics/report-metrics.module.js';
import type { ApiSettings } from './settings.js';
import { SubmitRunsModule } from './submit-runs/submit-runs.module.js';

/** The api, read top to bottom: runs come in, people decide about them, their events come back, callers follow them, what goes silent is asked about, in time they go. */
@Module({})
export class ApiModule {
  static of(settings: ApiSettings, log: JsonLog, onFatal: OnFatal): DynamicModule {
    return {
      module: ApiModule,
      imports: [
        ConnectionsModule.of(settings, log, onFatal),
        SubmitRunsModule,
        DecideRunsModule,
        ProjectRunsModule,
        FollowRunsModule,
        ReportUsageModule,
        ReconcileRunsModule,
        RemoveExpiredModule,
        ReportHealthModule.of(ProjectRunsModule, SubmitRunsModule),
        ReportMetricsModule,
        DescribeApiModule,
      ],
      providers: [Drain],
    };
  }
}
