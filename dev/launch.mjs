/**
 * `npm start`, `npm run demo`, `npm run specs`, `npm run stack`, `npm run storm`: checks the machine, builds what has changed, then becomes the
 * command itself (no process in between, so Ctrl-C and exit codes are its own).
 */
import { spawn } from 'node:child_process';
import console from 'node:console';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout, clearTimeout } from 'node:timers';
import { explainMissing, findMissing } from './prerequisites.mjs';

const commands = {
  start: 'dev/start',
  demo: 'dev/demo',
  specs: 'dev/test',
  stack: 'dev/stack',
  storm: 'test/storm',
};
const root = join(import.meta.dirname, '..');

export async function launch(command, args) {
  const missing = findMissing(process.env, { servers: startsServers(command, process.env) });
  if (missing.length > 0) fail(explainMissing(missing));
  if ((await build()) !== 0) fail('The build failed (see above): nothing was started.');
  process.argv.splice(2, process.argv.length, ...args);
  await import(`../dist/${commands[command]}/main.js`);
}

/** Whoever brings both servers needs no Java. */
export function startsServers(command, env) {
  if (command === 'stack' || command === 'storm') return true;
  return command === 'specs'
    ? !(env.HOLDFAST_TEST_DATABASE_URL && env.HOLDFAST_TEST_KAFKA)
    : !(env.DATABASE_URL && env.KAFKA_BROKERS);
}

/** Incremental: a second or two where nothing has changed. */
function build() {
  const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
  const args = [tsc, '-p', 'tsconfig.build.json'];
  const slow = setTimeout(() => console.log('Building Holdfast …'), 2_000);
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd: root, stdio: 'inherit' });
    child.once('error', reject);
    child.once('exit', (code) => {
      clearTimeout(slow);
      resolve(code ?? 1);
    });
  });
}

function fail(message) {
  console.error(message);
  process.exit(1);
}

const [command, ...args] = process.argv.slice(2);
if (!(command in commands)) fail(`Usage: node dev/launch.mjs ${Object.keys(commands).join('|')}`);
await launch(command, args);
