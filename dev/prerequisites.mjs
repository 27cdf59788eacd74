/**
 * What the machine must have before anything is built: named at once, with the command that installs it.
 * Plain JavaScript for old Nodes, since it runs before the build and must be able to say that Node is too old.
 */
import { execFileSync } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import process from 'node:process';

/** `node`: of the machine, to install with; `ownNode`: the one that runs this, from the packages. */
const needed = { node: [20, 19], ownNode: [22, 13], java: 17 };

/** Lines that say what is missing; empty where nothing is. `servers`: Postgres and Kafka are to be started here. */
export function findMissing(env, { servers }) {
  const missing = [];
  const node = machineNodeVersion(env);
  if (node && !isAtLeast(node, needed.node))
    missing.push(
      `Node ${needed.node.join('.')} or later (found ${node.join('.')}): https://nodejs.org`,
    );
  if (process.platform === 'win32')
    missing.push('Linux or macOS: on Windows use WSL 2 (wsl --install), and run this in it');
  if (!existsSync(join(import.meta.dirname, '../node_modules/typescript')))
    missing.push('the npm packages: run npm ci');
  else if (!isAtLeast(parseNode(process.version), needed.ownNode))
    missing.push('the Node of the npm packages: start by npm (npm start), or run npm rebuild node');
  if (servers) {
    const java = javaVersion(env);
    if (java === null) missing.push(`Java ${needed.java} or later, which runs Kafka`);
    else if (java < needed.java)
      missing.push(`Java ${needed.java} or later, which runs Kafka (found ${java})`);
    if (!isOnPath('mvn', env)) missing.push('Maven, which fetches Kafka');
  }
  return missing;
}

export function explainMissing(missing) {
  const list = ['Missing:', ...missing.map((line) => `  - ${line}`)];
  if (!missing.some((line) => /^(Java|Maven)/.test(line))) return list.join('\n');
  return [
    ...list,
    '',
    'Install Java and Maven:  apt-get install -y openjdk-17-jre-headless maven   (Debian, Ubuntu)',
    '                         brew install openjdk maven                         (macOS)',
    'Other ways to Postgres and Kafka:',
    '  - docker compose up -d, then set the two lines that docker-compose.yml names',
    '  - servers of your own: DATABASE_URL=postgres://… KAFKA_BROKERS=host:9092',
  ].join('\n');
}

/** "17.0.15" and "1.8.0_392" alike: the feature release. */
export function parseJavaVersion(text) {
  const match = /version "(?:1\.)?(\d+)/.exec(text);
  return match ? Number(match[1]) : null;
}

/** npm scripts run on the repository's own Node; the one that npm itself runs on is the machine's. */
function machineNodeVersion(env) {
  const machineNode = env.npm_node_execpath;
  if (!machineNode || machineNode === process.execPath) return parseNode(process.version);
  const printed = output(machineNode, ['--version'], env);
  return printed === null ? null : parseNode(printed);
}

function parseNode(version) {
  const match = /v(\d+)\.(\d+)/.exec(version);
  return match ? [Number(match[1]), Number(match[2])] : null;
}

function isAtLeast([major, minor], [neededMajor, neededMinor]) {
  return major > neededMajor || (major === neededMajor && minor >= neededMinor);
}

function javaVersion(env) {
  const command = env.JAVA_HOME ? join(env.JAVA_HOME, 'bin', 'java') : 'java';
  const printed = output(command, ['-version'], env);
  return printed === null ? null : parseJavaVersion(printed);
}

/** Standard output and error together; null where the command can't be run. (`java -version` writes to standard error.) */
function output(command, args, env) {
  try {
    return execFileSync('/bin/sh', ['-c', '"$0" "$@" 2>&1', command, ...args], {
      encoding: 'utf8',
      env,
      timeout: 20_000,
    });
  } catch {
    return null;
  }
}

function isOnPath(command, env) {
  return (env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
