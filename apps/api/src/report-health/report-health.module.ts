import { Module, type DynamicModule, type Type } from '@nestjs/common';
import { TerminusModule } from '@nestjs/terminus';
import { ReconcileRunsModule } from '../reconcile-runs/reconcile-runs.module.js';
import { StuckRunsStore } from '../reconcile-runs/stuck-runs.store.js';
import { ReportHealthController } from './report-health.controller.js';
import { STUCK_FACTS } from './stuck-facts.js';

/** The api *reports its health*: that of its connections, and of the consumers that `consuming` export. */
@Module({})
export class ReportHealthModule {
  static of(...consuming: Type[]): DynamicModule {
    return {
      module: ReportHealthModule,
      imports: [TerminusModule.forRoot({ logger: false }), ReconcileRunsModule, ...consuming],
      providers: [{ provide: STUCK_FACTS, useExisting: StuckRunsStore }],
      controllers: [ReportHealthController],
    };
  }
}
