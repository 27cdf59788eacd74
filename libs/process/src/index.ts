/** What every process of Holdfast does first: read its settings, open its log. */
export * from './settings.js';
export { silentLog, type FieldLog, type LogFields } from './field-log.js';
export { wordsOf } from './error-words.js';
export { JsonLog } from './json-log.js';
export { NestLog } from './nest-log.js';
export * from './start-process.js';
export * from './retention-settings.js';
export * from './draining.js';
