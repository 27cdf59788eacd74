import { Controller, Get, Param, Post, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { OutboxRelay } from '#libs/messaging';
import { OpenAiGateway } from '#libs/openai-gateway';
import { latchIdOf, latchUuidOf, latchView } from './latch-view.js';

/** For operators, on any processor: it speaks for the fleet. The others follow within a second. */
@Controller('v1/ops/gateway/latches')
export class GovernGatewayController {
  constructor(
    private readonly gateway: OpenAiGateway,
    private readonly relay: OutboxRelay,
  ) {}

  /** Lanes to OpenAI that are held now. */
  @Get()
  list() {
    return { latches: this.gateway.latches().map(latchView) };
  }

  /** The cause is mended: calls leave again, the first of them alone. */
  @Post(':latchId/release')
  async release(@Param('latchId') latchId: string, @Res() reply: FastifyReply): Promise<void> {
    const uuid = latchUuidOf(latchId);
    const isReleased = uuid !== null && (await this.gateway.releaseLatch(uuid));
    if (!isReleased) return sendNotHeld(reply);
    this.relay.hint();
    await reply.code(200).send({ latchId: latchIdOf(uuid), released: true });
  }
}

/** As RFC 9457 tells it. */
async function sendNotHeld(reply: FastifyReply): Promise<void> {
  const problem = {
    ...{ type: 'about:blank', status: 404, title: 'No such latch is held', code: 'latch_not_held' },
    detail:
      'It was released before, or never set. GET /v1/ops/gateway/latches lists those that are held.',
  };
  const type = 'application/problem+json; charset=utf-8';
  await reply.code(404).type(type).send(JSON.stringify(problem));
}
