/** A latch that is set or released, as an event about the system: one for the fleet, in the transaction that makes it so. */
import { opsTypeOf, topics, type OpsEventData, type OpsEventName } from '#libs/contracts';
import type { Outbox, OutboxMessage } from '#libs/messaging';
import type { Latch, OutageFact, TellOutage } from '#libs/openai-gateway';
import { uuidv7 } from '#libs/postgres';

export function tellOutagesTo(outbox: Outbox): TellOutage {
  return (tx, fact) => outbox.append(tx, [messageOf(fact)]);
}

function messageOf(fact: OutageFact): OutboxMessage {
  const { latch } = fact;
  const base = {
    latchId: `latch_${latch.latchId}`,
    account: latch.account,
    model: latch.model,
    class: latch.class,
    latchedAt: latch.latchedAt.toISOString(),
  };
  if (fact.kind === 'latched') {
    const { code, httpStatus, requestId, message } = latch;
    const said = { code, httpStatus, requestId, message };
    return opsMessage('GatewayLatched', latch, latch.latchedAt, { ...base, ...said });
  }
  const { releasedAt, releasedBy } = fact;
  const released = { releasedAt: releasedAt.toISOString(), releasedBy };
  return opsMessage('GatewayReleased', latch, releasedAt, { ...base, ...released });
}

function opsMessage<Name extends OpsEventName>(
  name: Name,
  { latchId, account, model }: Latch,
  time: Date,
  data: OpsEventData<Name>,
): OutboxMessage {
  const lane = ['gateway', account, ...(model === null ? [] : [model])].join('/');
  return {
    topic: topics.opsEvents,
    message: {
      ...{ id: uuidv7(), type: opsTypeOf(name), subject: lane, key: lane, time },
      ...{ correlationId: `latch_${latchId}`, data },
    },
  };
}
