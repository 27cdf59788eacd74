import { Module } from '@nestjs/common';
import { TerminusModule } from '@nestjs/terminus';
import { AdmitRunsModule } from '../admit-runs/admit-runs.module.js';
import { ExecuteRunsModule } from '../execute-runs/execute-runs.module.js';
import { RescueRunsModule } from '../rescue-runs/rescue-runs.module.js';
import { ReportHealthController } from './report-health.controller.js';

/** The processor *reports its health*: that of its connections, its consumers and its slots. */
@Module({
  imports: [
    TerminusModule.forRoot({ logger: false }),
    AdmitRunsModule,
    ExecuteRunsModule,
    RescueRunsModule,
  ],
  controllers: [ReportHealthController],
})
export class ReportHealthModule {}
