/**
 * `docs/run-lifecycle.md` from the tables of libs/domain: states, transitions, failure classes, retry tiers. Pure: the page is a
 * function of those tables, so a page that differs from the committed one means that a table has changed.
 */
import {
  chooseTier,
  defaultRetryPolicy,
  failureClasses,
  failureRules,
  isTerminal,
  retryTiers,
  runStatuses,
  runTransitions,
  SHORT_WAIT_MS,
  type RunStatus,
  type RunTransition,
  type RunTrigger,
} from '#libs/domain';

/** In the table because names and states are settled; no code makes these moves yet. Strike out what gets built. */
export const triggersNotBuilt: readonly RunTrigger[] = ['superseded'];

const stateMeanings: Readonly<Record<RunStatus, string>> = {
  queued: 'accepted, waits for its turn',
  running: 'a processor holds its lease and works on a step, or waits less than 5 s',
  retrying: 'not running now; tried again at `nextAttemptAt`',
  needs_review: 'stopped on purpose; a person decides. A dead letter says why',
  completed: 'the result is stored',
  failed:
    'will not be tried again: the caller must change something, the deadline has passed, or support gave it up',
  cancelled: 'stopped on request',
};

const triggerMeanings: Readonly<Record<RunTrigger, string>> = {
  submitted: 'a caller asked for it',
  not_workable: 'the request names a workflow that the processors lack',
  has_to_wait: 'no worker was free in time',
  claimed: 'a processor took it, or took it over',
  progressed: 'a step or an item is done, or a short wait began',
  lease_lost: 'its processor stopped answering',
  released: 'its processor shuts down',
  lane_paused: 'its lane takes no calls: an outage, no room, a pause',
  will_retry: 'what went wrong may pass',
  finished: 'the last step is done',
  needs_a_person: 'what went wrong does not pass by itself, or attempts or time are used up',
  cannot_succeed: 'only the caller can mend it, with another request',
  deadline_passed: "the caller's deadline has passed",
  calls_to_close: 'it is to be cancelled, but a call of it may still be running',
  cancelled: 'the caller wants no result any more',
  redriven: 'support mended the cause and sends it on',
  completed_by_hand: 'support supplies the result',
  discarded: 'support gives it up, with a reason',
  superseded: 'an edited copy of it runs instead',
};

export function runLifecyclePage(): string {
  return `${[
    '# The life of a run',
    '<!-- Written by dev/docs from the tables of libs/domain. Do not edit: change the table, then `npm run generate`. -->',
    'A run is in one of seven states, in code, tables, events and pages alike. This page is drawn from `runTransitions`, `failureRules` and `retryTiers` in [`libs/domain`](../libs/domain/src).',
    '## States',
    table(['State', 'Meaning', 'Ended'], runStatuses.map(stateRow)),
    '## What moves a run',
    diagram(),
    'The picture shows the moves that this build makes. The table holds all that are agreed on.',
    table(
      ['From', 'What happens', 'To', 'Event', 'Moved by', 'Built'],
      runTransitions.map(transitionRow),
    ),
    'A wait for a worker is announced after a second, that of a run which has told nothing yet after 15: else `RunQueued` is left out, and `RunStarted` comes next.',
    '## Why a run stops, and what then',
    "Everything that goes wrong gets one class, and the class decides. A workflow may move a class to `needs_review` or `failed`. What of OpenAI's answers becomes which class is in [what can go wrong with a model call](failure-classes.md).",
    table(
      ['Class', 'What becomes of the run', 'Uses an attempt', 'Who must act', 'What people read'],
      failureClasses.map(failureRow),
    ),
    'A model call that meets `billing`, `authorization` or `configuration` stops no run: its lane is latched, and its runs are parked, `queued` with `waiting.reason` `outage`, until it is released. So are those whose calls fail as `not_sent` or `server_error` in an outage, their attempt given back. The table says what becomes of these classes elsewhere, in a webhook step.',
    'Where it is a webhook that failed, people read of "the service that this run has to tell" instead of the AI service, and `outcome_unknown` means that nobody can say whether it was told.',
    '## When it is tried again',
    retryPolicyText(),
    table(
      ['Retry topic', 'Delay', 'Takes waits of'],
      retryTiers.map((tier, index) => [
        `\`holdfast.run.requested.v1.retry.${tier.name}\``,
        duration(tier.delayMs),
        tierRange(index),
      ]),
    ),
    `A wait under ${duration(SHORT_WAIT_MS)} needs no topic: the run stays with its processor. What is left of a wait when its tier is over goes through the next tier that fits, and the last ${duration(SHORT_WAIT_MS)} on the run's own row.`,
  ].join('\n\n')}\n`;
}

function stateRow(status: RunStatus): string[] {
  return [`\`${status}\``, stateMeanings[status], isTerminal(status) ? 'yes' : ''];
}

function isBuilt({ trigger }: RunTransition): boolean {
  return !triggersNotBuilt.includes(trigger);
}

function transitionRow(row: RunTransition): string[] {
  return [
    row.from === null ? '–' : `\`${row.from}\``,
    `*${words(row.trigger)}*: ${triggerMeanings[row.trigger]}`,
    `\`${row.to}\``,
    row.event === null ? '–' : `\`${row.event}\``,
    row.by,
    isBuilt(row) ? 'yes' : 'not yet',
  ];
}

function failureRow(name: (typeof failureClasses)[number]): string[] {
  const { fate, usesAttempt, whoMustAct, people } = failureRules[name];
  const becomes = fate === 'retry' ? 'tried again' : `\`${fate}\``;
  const uses = fate === 'retry' ? (usesAttempt ? 'yes' : 'no, only time') : '';
  return [`\`${name}\``, becomes, uses, whoMustAct, people];
}

/** One arrow per pair of states: what leads there is its label. */
function diagram(): string {
  const arrows = new Map<string, string[]>();
  for (const row of runTransitions.filter(isBuilt)) {
    const arrow = `${row.from ?? '[*]'} --> ${row.to}`;
    arrows.set(arrow, [...(arrows.get(arrow) ?? []), words(row.trigger)]);
  }
  const reached = runStatuses.filter((status) =>
    runTransitions.some((row) => isBuilt(row) && row.to === status),
  );
  const lines = [
    ...[...arrows].map(([arrow, labels]) => `${arrow} : ${labels.join(', ')}`),
    ...reached.filter(isTerminal).map((status) => `${status} --> [*]`),
  ];
  return ['```mermaid', 'stateDiagram-v2', ...lines.map((line) => `  ${line}`), '```'].join('\n');
}

function retryPolicyText(): string {
  const { maxAttempts, backoff, maxElapsedMs } = defaultRetryPolicy;
  const { firstDelayMs, factor, maxDelayMs } = backoff;
  return [
    `By default a run has ${maxAttempts} attempts within ${duration(maxElapsedMs)} of its first failure.`,
    `Each wait is drawn between nothing and a ceiling that starts at ${duration(firstDelayMs)}, grows by ${factor} with each try and ends at ${duration(maxDelayMs)}; what the service asks for (\`Retry-After\`) is added to it as a minimum.`,
    'A busy or overloaded service uses up time, not attempts.',
    'The run stops with `needs_review` when attempts or time are used up, and with `failed` when the next try would come after the deadline that the caller gave.',
  ].join(' ');
}

function tierRange(index: number): string {
  const [tier, next] = [retryTiers[index], retryTiers[index + 1]];
  if (tier === undefined || chooseTier(tier.delayMs) !== tier) return '–';
  return next === undefined
    ? `${duration(tier.delayMs)} and more`
    : `${duration(tier.delayMs)} to under ${duration(next.delayMs)}`;
}

function words(trigger: RunTrigger): string {
  return trigger.replaceAll('_', ' ');
}

/** In the largest unit that leaves a whole number. */
function duration(ms: number): string {
  const units = [
    ['h', 3_600_000],
    ['min', 60_000],
    ['s', 1_000],
  ] as const;
  const [unit, size] = units.find(([, unitMs]) => ms % unitMs === 0) ?? ['ms', 1];
  return `${ms / size} ${unit}`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
