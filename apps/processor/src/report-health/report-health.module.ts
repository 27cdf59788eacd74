import { Module } from '@nestjs/common';
import { TerminusModule } from '@nestjs/terminus';
import { AdmitRunsModule } from '../admit-runs/admit-runs.module.js';
import { ExecuteRunsModule } from '../execute-runs/execute-runs.module.js';
import { Keeper } from '../execute-runs/keeper.js';
import { RunSlots } from '../execute-runs/run-slots.js';
import { RescueRunsModule } from '../rescue-runs/rescue-runs.module.js';
import { Rescuer } from '../rescue-runs/rescuer.js';
import { ReportHealthController } from './report-health.controller.js';
import { WORK_FACTS, type WorkFacts } from './work-facts.js';

/** The processor *reports its health*: that of its connections, its consumers and its work. */
@Module({
  imports: [
    TerminusModule.forRoot({ logger: false }),
    AdmitRunsModule,
    ExecuteRunsModule,
    RescueRunsModule,
  ],
  providers: [
    {
      provide: WORK_FACTS,
      inject: [RunSlots, Rescuer, Keeper],
      useFactory: (slots: RunSlots, rescuer: Rescuer, keeper: Keeper): WorkFacts => ({
        inHand: () => slots.inUse,
        leasesProblem: () => keeper.problem,
        rescued: () => rescuer.count,
      }),
    },
  ],
  controllers: [ReportHealthController],
})
export class ReportHealthModule {}
