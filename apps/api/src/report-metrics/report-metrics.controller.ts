import { Controller, Get, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { PrometheusMetrics } from '#libs/metrics';

/** `GET /metrics`, for Prometheus. What each means: docs/metrics.md. */
@Controller()
export class ReportMetricsController {
  constructor(private readonly metrics: PrometheusMetrics) {}

  @Get('metrics')
  async metricsText(@Res({ passthrough: true }) reply: FastifyReply): Promise<string> {
    void reply.header('Cache-Control', 'no-store').type(this.metrics.contentType);
    return this.metrics.text();
  }
}
