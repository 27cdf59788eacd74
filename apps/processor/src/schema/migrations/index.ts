import { gatewayMigrations } from '#libs/openai-gateway';
import { CreateExecutions1764000200000 } from './1764000200000-create-executions.js';

/** For `migrate({ schema: 'processor', migrations: processorMigrations })`: the gateway keeps its ledger beside our tables. */
export const processorMigrations = [...gatewayMigrations, CreateExecutions1764000200000];
