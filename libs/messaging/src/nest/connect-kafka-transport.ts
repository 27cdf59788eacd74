import type { INestApplication, INestMicroservice } from '@nestjs/common';
import type { NestMicroservice } from '@nestjs/microservices';
import type { KafkaTransportStrategy } from './kafka-transport-strategy.js';
import { KeepCauseFilter } from './keep-cause.filter.js';

/**
 * Adds the strategy to a hybrid app, with the filter that keeps a handler's error. `app.startAllMicroservices()` then starts
 * it. Global pipes of the app do not run for its handlers: they get a ReceivedMessage and parse its data themselves.
 *
 * Filters count only if they are there before the handlers are registered, hence the deferred initialisation; the app itself
 * calls the modules' init hooks, so the microservice must not call them a second time.
 */
export function connectKafkaTransport(
  app: INestApplication,
  strategy: KafkaTransportStrategy,
): INestMicroservice {
  const microservice = app.connectMicroservice({ strategy }, { deferInitialization: true });
  microservice.useGlobalFilters(new KeepCauseFilter());
  (microservice as NestMicroservice).setIsInitHookCalled(true);
  return microservice;
}
