/** Set up for each spec file (dev/test/run-jest.ts): processes that it starts end with it, whatever becomes of its own hooks. */
import { endAllApps } from './app-process.js';

afterAll(endAllApps);
