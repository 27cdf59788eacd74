/** Another seed with each run, told with what was found; `HOLDFAST_FUZZ_SEED` repeats one. */
export const fuzzSeed = Number(process.env.HOLDFAST_FUZZ_SEED ?? Date.now() % 2 ** 31);
