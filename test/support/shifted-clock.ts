/** Preloaded into a process whose wall clock shall be wrong by SHIFT_CLOCK_MS. Its monotonic clock stays right, as on a real host. */
const shiftMs = Number(process.env.SHIFT_CLOCK_MS);
const RealDate = Date;

globalThis.Date = class extends RealDate {
  constructor(...args: [] | ConstructorParameters<typeof RealDate>) {
    if (args.length === 0) super(RealDate.now() + shiftMs);
    else super(...args);
  }

  static override now(): number {
    return RealDate.now() + shiftMs;
  }
} as DateConstructor;
