/**
 * Settings from the environment. Every bad one is reported at once, so that a deployment is mended in one go; the process then
 * ends with code 78 (EX_CONFIG of sysexits.h).
 */
export const logLevels = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof logLevels)[number];

export interface SettingProblem {
  readonly name: string;
  /** What is wrong and what to write; never the value itself, which may hold a password. */
  readonly reason: string;
}

export type ParsedSettings<Settings> =
  | { readonly kind: 'settings'; readonly settings: Settings }
  | { readonly kind: 'bad_settings'; readonly problems: readonly SettingProblem[] };

export const EXIT_BAD_SETTINGS = 78;

export type Environment = Readonly<Record<string, string | undefined>>;

/** What `HOLDFAST_ALLOW_OPEN_HOST` has to say. */
const OPEN_ON_PURPOSE = 'without-authentication';
const LOOPBACK_HOSTS = ['127.0.0.1', '::1', 'localhost'];

/** The settings; or all that is wrong with them on stderr, and the end of the process with code 78. */
export function settingsOrExit<Settings>(app: string, parsed: ParsedSettings<Settings>): Settings {
  if (parsed.kind === 'settings') return parsed.settings;
  process.stderr.write(`${describeBadSettings(app, parsed.problems)}\n`);
  process.exit(EXIT_BAD_SETTINGS);
}

export function describeBadSettings(app: string, problems: readonly SettingProblem[]): string {
  const lines = problems.map(({ name, reason }) => `  ${name}: ${reason}`);
  return [`holdfast ${app}: ${problems.length} bad setting(s):`, ...lines].join('\n');
}

/** Reads one setting after the other; notes what is wrong instead of throwing at the first. */
export class SettingReader {
  private readonly problems: SettingProblem[] = [];

  constructor(private readonly env: Environment) {}

  result<Settings>(settings: Settings): ParsedSettings<Settings> {
    return this.problems.length === 0
      ? { kind: 'settings', settings }
      : { kind: 'bad_settings', problems: this.problems };
  }

  postgresUrl(name: string, fallbackName: string): string {
    const source = this.text(name) === undefined ? fallbackName : name;
    const url = this.text(source);
    if (url === undefined) {
      return this.wrong(
        name,
        `is not set, and neither is ${fallbackName}; write postgres://user:password@host:5432/database`,
        '',
      );
    }
    const parsed = URL.canParse(url) ? new URL(url) : undefined;
    if (parsed && ['postgres:', 'postgresql:'].includes(parsed.protocol)) return url;
    return this.wrong(source, 'must be postgres://user:password@host:5432/database', '');
  }

  brokers(name: string): string[] {
    const text = this.text(name);
    if (text === undefined) {
      return this.wrong(name, 'is not set; write host:port, several separated by commas', []);
    }
    const brokers = text.split(',').map((broker) => broker.trim());
    if (brokers.every((broker) => /^[^\s:]+:\d{1,5}$/.test(broker))) return brokers;
    return this.wrong(name, 'must be host:port, several separated by commas', []);
  }

  topicPrefix(name: string): string {
    const prefix = this.text(name) ?? '';
    if (/^[A-Za-z0-9._-]{0,100}$/.test(prefix)) return prefix;
    return this.wrong(name, 'may hold letters, digits, dots, underscores and dashes only', '');
  }

  /** Where OpenAI is: http or https, with its path. */
  httpUrl(name: string): string {
    const text = this.text(name);
    const parsed = text !== undefined && URL.canParse(text) ? new URL(text) : undefined;
    if (text && parsed && ['http:', 'https:'].includes(parsed.protocol)) return text;
    return this.wrong(
      name,
      'must be an http or https address, as in https://api.openai.com/v1',
      '',
    );
  }

  /** A secret: any text without white space. */
  secret(name: string): string {
    const text = this.text(name);
    if (text !== undefined && !/\s/.test(text)) return text;
    return this.wrong(name, text === undefined ? 'is not set' : 'must not hold white space', '');
  }

  /** As it stands, for what has a grammar of its own. Not set: undefined. */
  optionalText(name: string): string | undefined {
    return this.text(name);
  }

  /** What webhooks are signed with, as their sender gives it: `whsec_` and base64. Not set: null. */
  signingSecret(name: string): string | null {
    const text = this.text(name);
    if (text === undefined) return null;
    if (/^whsec_[A-Za-z0-9+/]{16,}={0,2}$/.test(text)) return text;
    return this.wrong(name, 'must be whsec_ and base64, as OpenAI shows it', null);
  }

  /**
   * Where to listen: on loopback, since callers are not authenticated yet. Inside a container that is no address at all, so
   * there another one is taken, but only where the second setting says in so many words what that means.
   */
  host(name: string, openName: string): string {
    const host = this.text(name) ?? '127.0.0.1';
    const isOpen = this.oneOf(openName, [OPEN_ON_PURPOSE, 'no'], 'no') === OPEN_ON_PURPOSE;
    if (LOOPBACK_HOSTS.includes(host) || isOpen) return host;
    const reason = `must be one of ${LOOPBACK_HOSTS.join(', ')}: callers are not authenticated yet, so nothing else may reach this process. Where something else keeps others away, as in a container, write ${openName}=${OPEN_ON_PURPOSE}`;
    return this.wrong(name, reason, '');
  }

  /** `name=value` pairs, separated by commas; a name may hold `=`, and stands once. Default: none. */
  pairs(name: string, form: string, valueIs: RegExp): ReadonlyMap<string, string> {
    const parts = (this.text(name) ?? '').split(',').map((part) => part.trim());
    const pairs = parts.filter(Boolean).map((part): [string, string] => {
      const [, left = '', right = ''] = /^(.+)=(.*)$/.exec(part) ?? [];
      return [left, right];
    });
    const found = new Map(pairs);
    const isWhole = pairs.every(([left, right]) => left !== '' && valueIs.test(right));
    if (isWhole && found.size === pairs.length) return found;
    return this.wrong(name, `must be ${form}, several separated by commas, none twice`, found);
  }

  /** `name=value` pairs, separated by commas, for values that may hold `=`: names are kebab-case. Default: none. */
  named(
    name: string,
    form: string,
    isValue: (value: string) => boolean,
  ): ReadonlyMap<string, string> {
    const parts = (this.text(name) ?? '').split(',').map((part) => part.trim());
    const pairs = parts.filter(Boolean).map((part): [string, string] => {
      const [, left = '', right = ''] = /^([a-z][a-z0-9]*(?:-[a-z0-9]+)*)=(.*)$/.exec(part) ?? [];
      return [left, right];
    });
    const found = new Map(pairs);
    const isWhole = pairs.every(([left, right]) => left !== '' && isValue(right));
    if (isWhole && found.size === pairs.length) return found;
    return this.wrong(name, `must be ${form}, several separated by commas, none twice`, found);
  }

  wholeNumber(name: string, range: { fallback: number; min: number; max: number }): number {
    const text = this.text(name);
    if (text === undefined) return range.fallback;
    const value = /^\d{1,12}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= range.min && value <= range.max) return value;
    return this.wrong(name, `must be a whole number from ${range.min} to ${range.max}`, 0);
  }

  oneOf<Choice extends string>(name: string, choices: readonly Choice[], fallback: Choice): Choice {
    const text = this.text(name);
    if (text === undefined) return fallback;
    const choice = choices.find((each) => each === text);
    return choice ?? this.wrong(name, `must be one of ${choices.join(', ')}`, fallback);
  }

  /** For what one setting alone does not show: two that contradict each other. */
  refuse(name: string, reason: string): void {
    this.wrong(name, reason, undefined);
  }

  /** Empty is the same as not set. */
  private text(name: string): string | undefined {
    return this.env[name]?.trim() || undefined;
  }

  private wrong<T>(name: string, reason: string, standIn: T): T {
    if (!this.problems.some((problem) => problem.name === name)) {
      this.problems.push({ name, reason });
    }
    return standIn;
  }
}
