/**
 * `npm run verify`: everything that must hold, step by step, up to the first that fails. Ends with the line `N passed, N failed`
 * in any case: the specs' own, or one failure for the step that failed before them. Plain JavaScript, for it runs the build.
 */
import { spawn } from 'node:child_process';
import console from 'node:console';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import process from 'node:process';
import { explainMissing, findMissing } from '../prerequisites.mjs';

const root = join(import.meta.dirname, '../..');
const steps = [
  {
    name: 'format',
    does: 'the code is formatted',
    command: [
      'prettier',
      '--cache',
      '--cache-location',
      'node_modules/.cache/holdfast/prettier',
      '--check',
      '--log-level',
      'warn',
      '.',
    ],
  },
  {
    name: 'lint',
    does: 'the linter is content',
    command: ['eslint', '--cache', '--cache-location', 'node_modules/.cache/holdfast/eslint', '.'],
  },
  { name: 'types', does: 'the types fit, specs included', command: ['tsc', '-p', 'tsconfig.json'] },
  {
    name: 'imports',
    does: 'the import rules of docs/architecture.md hold',
    command: [
      'depcruise',
      '--config',
      '.dependency-cruiser.cjs',
      'apps',
      'libs',
      'dev',
      'bench',
      'test',
    ],
  },
  { name: 'build', does: 'dist/ is up to date', command: ['tsc', '-p', 'tsconfig.build.json'] },
  {
    name: 'generated',
    does: 'pages drawn from code are up to date',
    command: ['node', 'dist/dev/docs/main.js', '--check'],
  },
  {
    name: 'specs',
    does: 'unit, integration and flow specs (the fault specs: npm run test:faults)',
    command: ['node', 'dist/dev/test/main.js', '--selectProjects', 'unit', 'integration', 'flow'],
  },
];

async function verify() {
  const servers = !(process.env.HOLDFAST_TEST_DATABASE_URL && process.env.HOLDFAST_TEST_KAFKA);
  const missing = findMissing(process.env, { servers });
  if (missing.length > 0) {
    console.error(explainMissing(missing));
    return end('prerequisites', 1);
  }
  for (const step of steps) {
    console.log(`── ${step.name}: ${step.does}`);
    const startedAt = performance.now();
    const isLast = step === steps.at(-1);
    const code = await run(step.command);
    if (isLast) return process.exit(code); // it has printed the line itself
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
    if (code !== 0) return end(`${step.name} (after ${seconds} s)`, code);
    console.log(`   ok, ${seconds} s`);
  }
}

function end(failedStep, code) {
  console.log(`Failed at: ${failedStep}`);
  console.log('0 passed, 1 failed');
  process.exit(code);
}

/** Signals are the child's own affair: it stops what it started, and its exit code comes back. */
function run([command, ...args]) {
  return new Promise((resolve, reject) => {
    const child = spawn(join(root, 'node_modules/.bin', command), args, {
      cwd: root,
      stdio: 'inherit',
    });
    const forward = (signal) => child.kill(signal);
    process.on('SIGTERM', forward);
    process.on('SIGINT', ignore); // the terminal sends it to the child, too
    child.once('error', reject);
    child.once('exit', (code) => {
      process.off('SIGTERM', forward);
      process.off('SIGINT', ignore);
      resolve(code ?? 1);
    });
  });
}

function ignore() {}

await verify();
