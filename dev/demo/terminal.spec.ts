import { Terminal, fit, table } from './terminal.js';

class Screen {
  written = '';
  columns = 40;
  constructor(readonly isTTY: boolean) {}
  write(text: string) {
    this.written += text;
    return true;
  }
}

const terminalOn = (screen: Screen) =>
  new Terminal(screen as unknown as NodeJS.WriteStream, { TERM: 'xterm' });

describe('the output of the demo', () => {
  it('where it is no terminal: the lines that stay, plain', () => {
    const screen = new Screen(false);
    const terminal = terminalOn(screen);
    terminal.show(['7 of 23']);
    terminal.say(terminal.paint('green', 'done'));
    expect(screen.written).toBe('done\n');
  });

  it('on a terminal: redraws the live lines below those that stay', () => {
    const screen = new Screen(true);
    const terminal = terminalOn(screen);
    terminal.show(['7 of 23']);
    screen.written = '';
    terminal.say('retrying');
    expect(screen.written).toBe('\u001b[1A\r\u001b[0Jretrying\n7 of 23\n');
  });

  it('cuts a live line before it wraps', () => {
    expect(fit('\u001b[32m12345678\u001b[0m', 6)).toBe('12345…');
    expect(fit('\u001b[32m123\u001b[0m', 6)).toBe('\u001b[32m123\u001b[0m');
  });

  it('sets cells in columns', () => {
    expect(
      table(
        [
          ['No.', 'Text'],
          ['R-001', 'The contractor shall'],
        ],
        18,
      ),
    ).toEqual(['No.    Text', 'R-001  The contra…']);
  });
});
