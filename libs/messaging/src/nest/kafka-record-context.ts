import { BaseRpcContext } from '@nestjs/microservices';
import type { ReceivedMessage } from '../envelope/message.js';

/** What `@Ctx()` gives to an `@EventPattern` handler. */
export class KafkaRecordContext extends BaseRpcContext<[ReceivedMessage]> {
  getMessage(): ReceivedMessage {
    return this.args[0];
  }
}
