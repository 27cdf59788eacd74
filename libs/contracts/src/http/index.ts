/** What travels over HTTP: bodies, queries, views, problems. */
export * from './problems.js';
export * from './check-fields.js';
export * from './json-limits.js';
export * from './submit-run.js';
export * from './decide-run.js';
export * from './list-runs.js';
export * from './follow-events.js';
export * from './views.js';
export * from './usage.js';
