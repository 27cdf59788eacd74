/**
 * Preloaded into processes that specs start: should the spec's own process die, they die with it. What was compiled for them is kept
 * soon, as most of them are killed.
 */
import { flushCompileCache } from 'node:module';

const keptAfterMs = 5_000;

process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
process.channel?.unref();
setTimeout(flushCompileCache, keptAfterMs).unref();
