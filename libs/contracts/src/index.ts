/** Every message on the wire, one class each: HTTP bodies, Kafka messages, topics. */
import 'reflect-metadata'; // before the decorators of any class below
export * from './messages/topics.js';
export * from './messages/run-commands.js';
export * from './messages/run-requested.js';
export * from './messages/run-decisions.js';
export * from './messages/money-parts.js';
export * from './messages/run-events.js';
export * from './messages/spend-settled.js';
export * from './messages/ops-events.js';
export * from './messages/work-headers.js';
export * from './messages/repeat-headers.js';
export * from './messages/refusals.js';
export * from './messages/parse-message.js';
export * from './http/index.js';
