import { Controller, Get, Query, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { MAX_USAGE_ROWS, type UsageReport } from '#libs/contracts';
import { badQuery } from '../bad-query.js';
import { tenantOf } from '../tenant.js';
import { usageFilterOf } from './usage-filter.js';
import { usageReportOf } from './usage-report.js';
import { UsageStore } from './usage.store.js';

/** What the caller's runs have spent. */
@Controller('v1/usage')
export class ReportUsageController {
  constructor(private readonly usage: UsageStore) {}

  @Get()
  async report(@Query() query: unknown, @Req() request: FastifyRequest): Promise<UsageReport> {
    const filter = usageFilterOf(tenantOf(request), query, Date.now());
    const spend = await this.usage.spendOf(filter, MAX_USAGE_ROWS + 1);
    if (spend.length <= MAX_USAGE_ROWS) return usageReportOf(filter, spend);
    const message = `asks for more than ${MAX_USAGE_ROWS} rows`;
    throw badQuery([{ pointer: '/from', message, mend: 'Ask for fewer days, or one workflow.' }]);
  }
}
