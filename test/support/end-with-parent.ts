/** Preloaded into processes that specs start: should the spec's own process die, they die with it. */
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
process.channel?.unref();
