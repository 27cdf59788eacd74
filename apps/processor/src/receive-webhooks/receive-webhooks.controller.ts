import { Body, Controller, Headers, Post, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import type { WebhookHeaders } from '#libs/openai-gateway';
import { isRefusal, ReceiveWebhooks } from './receive-webhooks.js';
import { webhookProblem } from './webhook-problems.js';

/** Where OpenAI's project settings point to. 2xx: it need not come again; what repeats itself is answered alike. */
@Controller()
export class ReceiveWebhooksController {
  constructor(private readonly webhooks: ReceiveWebhooks) {}

  @Post('v1/openai/webhooks')
  async receive(
    @Body() body: unknown,
    @Headers() headers: WebhookHeaders,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const receipt = await this.webhooks.receive(typeof body === 'string' ? body : '', headers);
    if (!isRefusal(receipt)) return reply.code(200).send({ webhook: receipt });
    const problem = webhookProblem(receipt);
    const type = 'application/problem+json; charset=utf-8';
    return reply.code(problem.status).type(type).send(JSON.stringify(problem));
  }
}
