/**
 * Calm output: lines that stay, and below them, on a terminal, a few that are redrawn in place. Where the output is no terminal
 * (a file, a pipe, CI) only the lines that stay are written, without colours.
 */
import type { WriteStream } from 'node:tty';

export type Paint = 'bold' | 'dim' | 'green' | 'yellow' | 'red' | 'cyan';

const codes: Readonly<Record<Paint, number>> = {
  bold: 1,
  dim: 2,
  green: 32,
  yellow: 33,
  red: 31,
  cyan: 36,
};
const escapes = /\u001b\[\d+m/g; // eslint-disable-line no-control-regex -- colours are what is looked for

export class Terminal {
  private live: readonly string[] = [];
  private readonly isLive: boolean;
  private readonly isColoured: boolean;

  constructor(
    private readonly out: NodeJS.WriteStream | WriteStream,
    env: NodeJS.ProcessEnv,
  ) {
    this.isLive = out.isTTY === true && env.TERM !== 'dumb';
    this.isColoured = this.isLive && !env.NO_COLOR;
  }

  paint(paint: Paint, text: string): string {
    return this.isColoured ? `\u001b[${codes[paint]}m${text}\u001b[0m` : text;
  }

  /** A line that stays. */
  say(line = ''): void {
    this.out.write(`${this.erased()}${line}\n${this.drawn()}`);
  }

  /** The lines at the bottom, instead of those shown before. */
  show(lines: readonly string[]): void {
    if (!this.isLive) return;
    const erased = this.erased();
    this.live = lines.map((line) => fit(line, this.columns - 1));
    this.out.write(erased + this.drawn());
  }

  get columns(): number {
    return this.out.columns || 100;
  }

  private erased(): string {
    return this.live.length === 0 ? '' : `\u001b[${this.live.length}A\r\u001b[0J`;
  }

  private drawn(): string {
    return this.live.map((line) => `${line}\n`).join('');
  }
}

/** Cut to a width in visible characters: a wrapped line would break the redrawing. */
export function fit(line: string, width: number): string {
  const visible = line.replace(escapes, '');
  return visible.length <= width ? line : `${visible.slice(0, Math.max(0, width - 1))}…`;
}

/** Cells in columns as wide as their widest cell; the last one takes what is left of the width. */
export function table(rows: readonly (readonly string[])[], width: number): string[] {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  return rows.map((row) =>
    fit(
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
      width,
    ),
  );
}
