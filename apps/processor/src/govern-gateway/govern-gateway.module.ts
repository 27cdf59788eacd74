import { Module } from '@nestjs/common';
import { GovernGatewayController } from './govern-gateway.controller.js';

/** The processor lets an operator *govern the gateway*: see which lanes are latched, and release them. */
@Module({ controllers: [GovernGatewayController] })
export class GovernGatewayModule {}
