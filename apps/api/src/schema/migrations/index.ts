import { CreateRuns1764000000000 } from './1764000000000-create-runs.js';

/** For `migrate({ schema: 'api', migrations: apiMigrations })`, oldest first. */
export const apiMigrations = [CreateRuns1764000000000];
