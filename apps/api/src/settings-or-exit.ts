import {
  describeBadSettings,
  EXIT_BAD_SETTINGS,
  parseSettings,
  type ApiSettings,
} from './settings.js';

/** The settings; or all that is wrong with them on stderr, and the end of the process with code 78. */
export function settingsOrExit(env: NodeJS.ProcessEnv): ApiSettings {
  const parsed = parseSettings(env);
  if (parsed.kind === 'settings') return parsed.settings;
  process.stderr.write(`${describeBadSettings(parsed.problems)}\n`);
  process.exit(EXIT_BAD_SETTINGS);
}
