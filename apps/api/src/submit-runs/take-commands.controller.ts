import { Controller } from '@nestjs/common';
import { EventPattern, Payload } from '@nestjs/microservices';
import { topics } from '#libs/contracts';
import type { ReceivedMessage } from '#libs/messaging';
import { TakeCommands } from './take-commands.js';

/** Group `holdfast.api.submit-runs`: what services ask for over Kafka instead of HTTP. */
@Controller()
export class TakeCommandsController {
  constructor(private readonly commands: TakeCommands) {}

  @EventPattern(topics.runCommands)
  async onCommand(@Payload() message: ReceivedMessage): Promise<void> {
    await this.commands.take(message);
  }
}
