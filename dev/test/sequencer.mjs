/**
 * The order of spec files. Jest remembers how long each took and begins with the longest. Where it has no memory, on a fresh machine, it
 * goes by their size, which says little here: flow specs are short to read and long to run, and one that begins last leaves cores
 * idle. So then they come first, and unit specs last.
 */
import JestSequencer from '@jest/test-sequencer';

const order = ['faults', 'flow', 'integration', 'unit'];
const placeOf = ({ context }) => order.indexOf(context.config.displayName?.name ?? 'unit');

export default class Sequencer extends JestSequencer {
  sort(tests) {
    const sorted = super.sort(tests);
    if (sorted.some(({ duration }) => duration !== undefined)) return sorted;
    return sorted.toSorted((one, other) => placeOf(one) - placeOf(other));
  }
}
