/** One line that is written over on a terminal, and one now and then where there is none. */
import type { WriteStream } from 'node:tty';

const everyNth = 10;

export function liveLine(out: WriteStream): { show(text: string): void; end(): void } {
  let shown = 0;
  return {
    show(text) {
      if (out.isTTY) out.write(`\r\u001b[K${text.slice(0, out.columns - 1)}`);
      else if (shown % everyNth === 0) out.write(`${text}\n`);
      shown += 1;
    },
    end: () => void (out.isTTY && out.write('\n')),
  };
}
