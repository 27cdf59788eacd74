/** What every process of Holdfast does first: read its settings, open its log. */
export * from './settings.js';
export * from './json-log.js';
export * from './start-process.js';
