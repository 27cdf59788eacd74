import { Controller } from '@nestjs/common';
import { EventPattern, Payload } from '@nestjs/microservices';
import { retryTopics, topics } from '#libs/contracts';
import type { ReceivedMessage } from '#libs/messaging';
import { AdmitRuns } from './admit-runs.js';

/** Work arrives: on the requested topic, and out of its retry tiers. */
@Controller()
export class AdmitRunsController {
  constructor(private readonly admitRuns: AdmitRuns) {}

  @EventPattern([topics.runRequested, ...retryTopics.map(({ topic }) => topic)])
  requested(@Payload() message: ReceivedMessage): Promise<void> {
    return this.admitRuns.admit(message);
  }
}
