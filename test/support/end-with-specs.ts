/** Set up for each spec file that may start processes: they end with it, whatever became of its own hooks. */
import { endAllApps } from './app-process.js';

afterAll(endAllApps);
