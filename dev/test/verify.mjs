/**
 * `npm run verify`: everything that must hold; the specs last, where nothing before them has failed. Ends with the line
 * `N passed, N failed` in any case: the specs' own, or one failure for what failed before them. Plain JavaScript, for it runs the build.
 */
import { Buffer } from 'node:buffer';
import { spawn } from 'node:child_process';
import console from 'node:console';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import process from 'node:process';
import { explainMissing, findMissing } from '../prerequisites.mjs';

const root = join(import.meta.dirname, '../..');
const cache = (name) => ['--cache', '--cache-location', `node_modules/.cache/holdfast/${name}`];

/** Two at a time, as each keeps one core busy: what reads the code, and what makes something of it, each in its order. */
const lanes = [
  [
    {
      name: 'format',
      does: 'the code is formatted',
      command: ['prettier', ...cache('prettier'), '--check', '--log-level', 'warn', '.'],
    },
    {
      name: 'lint',
      does: 'the linter is content',
      command: ['eslint', ...cache('eslint'), '.'],
    },
  ],
  [
    {
      name: 'types',
      does: 'the types fit, specs included',
      command: ['tsc', '-p', 'tsconfig.json'],
    },
    {
      name: 'build',
      does: 'dist/ is up to date; its types have just been looked at',
      command: ['tsc', '-p', 'tsconfig.build.json', '--noCheck'],
    },
    {
      name: 'generated',
      does: 'pages drawn from code are up to date',
      command: ['node', 'dist/dev/docs/main.js', '--check'],
    },
    {
      name: 'imports',
      does: 'the import rules of docs/architecture.md hold',
      command: [
        ...['depcruise', '--config', '.dependency-cruiser.cjs'],
        ...['apps', 'libs', 'dev', 'bench', 'test'],
      ],
    },
  ],
];
const specs = {
  name: 'specs',
  does: 'unit, integration and flow specs (the fault specs: npm run test:faults)',
  command: ['node', 'dist/dev/test/main.js', '--selectProjects', 'unit', 'integration', 'flow'],
};

async function verify() {
  const servers = !(process.env.HOLDFAST_TEST_DATABASE_URL && process.env.HOLDFAST_TEST_KAFKA);
  const missing = findMissing(process.env, { servers });
  if (missing.length > 0) {
    console.error(explainMissing(missing));
    return end('prerequisites', 1);
  }
  const failures = (await Promise.all(lanes.map(runLane))).filter((failure) => failure !== null);
  if (failures.length > 0)
    return end(failures.map(({ name }) => name).join(', '), failures[0].code);
  console.log(`── ${specs.name}: ${specs.does}`);
  process.exit(await run(specs.command)); // it has printed the line itself
}

/** Up to the first of its steps that fails, which it answers with; null: none did. */
async function runLane(steps) {
  for (const { name, does, command } of steps) {
    const startedAt = performance.now();
    const said = [];
    const code = await run(command, (piece) => said.push(piece));
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
    console.log(`── ${name}: ${does}`);
    process.stdout.write(Buffer.concat(said));
    console.log(`   ${code === 0 ? 'ok' : 'failed'}, ${seconds} s`);
    if (code !== 0) return { name, code };
  }
  return null;
}

function end(failedStep, code) {
  console.log(`Failed at: ${failedStep}`);
  console.log('0 passed, 1 failed');
  process.exit(code);
}

/**
 * Signals are the child's own affair: it stops what it started, and its exit code comes back.
 * @param onOutput where it does not write to the terminal itself
 */
function run([command, ...args], onOutput) {
  return new Promise((resolve, reject) => {
    const child = spawn(join(root, 'node_modules/.bin', command), args, {
      cwd: root,
      stdio: onOutput ? ['inherit', 'pipe', 'pipe'] : 'inherit',
    });
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', onOutput);
    const forward = (signal) => child.kill(signal);
    process.on('SIGTERM', forward);
    process.on('SIGINT', ignore); // the terminal sends it to the child, too
    child.once('error', reject);
    child.once('close', (code) => {
      process.off('SIGTERM', forward);
      process.off('SIGINT', ignore);
      resolve(code ?? 1);
    });
  });
}

function ignore() {}

await verify();
