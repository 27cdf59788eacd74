/** Brings the schemas `api` and `content` up to date: an explicit step before the api starts. */
import 'reflect-metadata';
import { migrateSchemas } from '#libs/postgres';
import { settingsOrExit } from '#libs/process';
import { schemasOf } from './schema/index.js';
import { parseDatabaseSettings } from './settings.js';

const settings = settingsOrExit('api', parseDatabaseSettings(process.env));
const stop = new AbortController();
process.once('SIGTERM', () => stop.abort());
process.once('SIGINT', () => stop.abort());

await migrateSchemas(schemasOf(settings), (line) => process.stdout.write(`${line}\n`), stop.signal);
