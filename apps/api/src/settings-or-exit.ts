import { describeBadSettings, EXIT_BAD_SETTINGS, type ParsedSettings } from './settings.js';

/** The settings; or all that is wrong with them on stderr, and the end of the process with code 78. */
export function settingsOrExit<Settings>(parsed: ParsedSettings<Settings>): Settings {
  if (parsed.kind === 'settings') return parsed.settings;
  process.stderr.write(`${describeBadSettings(parsed.problems)}\n`);
  process.exit(EXIT_BAD_SETTINGS);
}
