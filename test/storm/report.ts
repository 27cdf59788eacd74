/** What a storm says at its end: the table of promises, each with what the oracle found. */
import type { Facts } from '../oracle/facts.js';
import { rules, type Breach, type Rule } from '../oracle/judge.js';

const shownBreaches = 20;

export function tableOf(facts: Facts, breaches: readonly Breach[]): string {
  const rows = (Object.keys(rules) as Rule[]).map((rule): [string, string] => [
    rules[rule],
    String(breaches.filter((breach) => breach.rule === rule).length),
  ]);
  const lines: [string, string][] = [['promise', 'breaches'], ...rows, ...figuresOf(facts)];
  const width = Math.max(...lines.map(([name]) => name.length));
  return lines.map(([name, value]) => `  ${name.padEnd(width)}  ${value.padStart(9)}`).join('\n');
}

function figuresOf(facts: Facts): [string, string][] {
  const { answers, executions, attempts, charges, events, deliveries, recoveriesMs } = facts;
  const count = (status: string) => executions.filter((run) => run.status === status).length;
  const repeats = events.length - new Set(events.map(({ id }) => id)).size;
  const worst = recoveriesMs.length === 0 ? '–' : `${Math.max(...recoveriesMs)} ms`;
  return [
    ['', ''],
    ['accepted runs', String(new Set(answers.map(({ runId }) => runId)).size)],
    ['answers with 202, repeats included', String(answers.length)],
    ['completed', String(count('completed'))],
    ['in needs_review', String(count('needs_review'))],
    ['failed', String(count('failed'))],
    ['claims', String(attempts.length)],
    ['leases lost', String(attempts.filter(({ outcome }) => outcome === 'lease_lost').length)],
    ['model calls charged', String(charges.length)],
    ['webhooks received', String(deliveries.length)],
    ['events told, and repeats of them', `${events.length - repeats} + ${repeats}`],
    ['kills with runs in hand', String(recoveriesMs.length)],
    ['slowest recovery after a kill', worst],
  ];
}

export function listOf(breaches: readonly Breach[]): string {
  const lines = breaches
    .slice(0, shownBreaches)
    .map(({ rule, subject, what }) => `  ${rule}: ${subject}: ${what}`);
  const more = breaches.length - lines.length;
  return [...lines, ...(more > 0 ? [`  … and ${more} more`] : [])].join('\n');
}
