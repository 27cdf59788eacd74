import { Module, type DynamicModule, type Type } from '@nestjs/common';
import { TerminusModule } from '@nestjs/terminus';
import { ReportHealthController } from './report-health.controller.js';

/** The api *reports its health*: that of its connections, and of the consumers that `consuming` export. */
@Module({})
export class ReportHealthModule {
  static of(...consuming: Type[]): DynamicModule {
    return {
      module: ReportHealthModule,
      imports: [TerminusModule.forRoot({ logger: false }), ...consuming],
      controllers: [ReportHealthController],
    };
  }
}
