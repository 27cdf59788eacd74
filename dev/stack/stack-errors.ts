/** What can keep the stack from starting. Every message says what to do. */
export class StackError extends Error {
  constructor(
    readonly code: string,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = new.target.name;
  }
}

export class StackAlreadyRunningError extends StackError {
  constructor(folder: string, pid: number) {
    super(
      'stack_already_running',
      `Another Holdfast stack is running on ${folder} (process ${pid}).\n` +
        `Stop it with Ctrl-C in its terminal (or: kill ${pid}), then start again.\n` +
        'Or give this one a home of its own: HOLDFAST_HOME=/some/folder',
    );
  }
}

export class StackPortInUseError extends StackError {
  constructor(
    readonly port: number,
    what: string,
    setting: string,
  ) {
    super(
      'stack_port_in_use',
      `Port ${port}, wanted for ${what}, is in use by another program.\n` +
        `Stop that program (lsof -i :${port} names it), or choose another port: ${setting}=${port + 1000}.`,
    );
  }
}

export class StackSettingInvalidError extends StackError {
  constructor(setting: string, value: string, wanted: string) {
    super('stack_setting_invalid', `${setting}="${value}" is not ${wanted}.`);
  }
}

export class StackPrerequisiteMissingError extends StackError {
  constructor(what: string, purpose: string, options?: ErrorOptions) {
    super(
      'stack_prerequisite_missing',
      `${what} is missing: ${purpose}.\n` +
        `Install it:  apt-get install -y openjdk-17-jre-headless maven   (Debian, Ubuntu)\n` +
        `             brew install openjdk maven                        (macOS)\n` +
        `Other ways:  docker compose up -d, or set DATABASE_URL and KAFKA_BROKERS to servers of your own.`,
      options,
    );
  }
}

/** A server ended before it was ready. The tail of its log is the reason. */
export class StackServerStartError extends StackError {
  constructor(server: string, what: string, logFile: string, logTail: string) {
    super('stack_server_start', `${server} ${what}. Its log (${logFile}) ends with:\n${logTail}`);
  }
}
