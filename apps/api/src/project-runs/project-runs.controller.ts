import { Controller } from '@nestjs/common';
import { EventPattern, Payload } from '@nestjs/microservices';
import { topics } from '#libs/contracts';
import type { ReceivedMessage } from '#libs/messaging';
import { ProjectRuns } from './project-runs.js';

/** Group `holdfast.api.project-runs`: what processors say about runs becomes what callers see. */
@Controller()
export class ProjectRunsController {
  constructor(private readonly projection: ProjectRuns) {}

  @EventPattern(topics.runEvents)
  async onRunEvent(@Payload() message: ReceivedMessage): Promise<void> {
    await this.projection.take(message);
  }
}
