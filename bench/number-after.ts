/** `--runs 5000` on the command line of a measurement; anything but a whole number from 1 ends it. */
export function numberAfter(flag: string, fallback: number): number {
  const index = process.argv.indexOf(flag);
  const value = index < 0 ? fallback : Number(process.argv[index + 1]);
  if (Number.isInteger(value) && value > 0) return value;
  console.error(`${flag} takes a whole number from 1`);
  process.exit(2);
}
