import { Module } from '@nestjs/common';
import { DescribeApiController } from './describe-api.controller.js';

/** The api *describes itself*: OpenAPI, AsyncAPI, and a page to read them on. */
@Module({ controllers: [DescribeApiController] })
export class DescribeApiModule {}
