/** `docs/failure-classes.md` from the tables that decide: classification and poll faults of the gateway, the classes of libs/domain. */
import { failureClasses, failureRules, type FailureClass } from '#libs/domain';
import {
  breakerEffects,
  classificationTable,
  pollFaults,
  type ClassificationRow,
} from '#libs/openai-gateway';

export function failureClassesPage(): string {
  return `${[
    '# What can go wrong with a model call',
    '<!-- Written by dev/docs from the tables of libs/openai-gateway and libs/domain. Do not edit: change a table, then `npm run generate`. -->',
    "Every fault of OpenAI, or of the way to it, has a row, and the row decides. The first that fits is taken: first whether the request left at all, then whether the answer is OpenAI's own, its exact code, its message where one is known, and the status last. The `type` of an error is not looked at. A code that nobody knows yet falls to its status: an unknown 4xx is permanent, an unknown 5xx of OpenAI's own passes, any other 5xx leaves open what became of the call. How often and how long a run is tried is in [the life of a run](run-lifecycle.md#when-it-is-tried-again).",
    '## When a call is sent, and when its response ends',
    table(
      [
        'What came',
        'Class',
        'Again?',
        'Uses an attempt',
        'For the calls after it',
        'Paid',
        'Who must act',
      ],
      classificationTable.map(decisionRow),
    ),
    'Where a response was accepted first and then ended as failed with one of these codes, the same holds, but it may have been paid.',
    'For the calls after it:',
    Object.entries(breakerEffects)
      .map(([effect, meaning]) => `- ${words(effect)}: ${meaning}`)
      .join('\n'),
    'An answer that OpenAI refuses to give, or that its content filter cuts, is a result: it was paid for, and is delivered as a refusal.',
    '## What support reads',
    table(
      ['What came', 'Code, where OpenAI gives none', 'What it means, and what mends it'],
      classificationTable.map(({ name, code, support }) => [name, `\`${code}\``, support]),
    ),
    '## When a response is fetched or cancelled',
    'Nothing that goes wrong with a GET or a cancel fails a call: it has been accepted, and goes on. It is asked again, after 1 to 10 s or as told, until its own deadline.',
    table(
      ['What came', 'What then', 'For the calls after it'],
      pollFaults.map(({ name, goneAfter, breaker }) => [
        name,
        goneAfter === undefined ? 'asked again' : `${goneAfter} in a row: the response is gone`,
        words(breaker),
      ]),
    ),
    '## What people read',
    'As part of a sentence that also says what happens next. The classes that no row above has are born in Holdfast itself.',
    table(['Class', 'The AI service, or Holdfast', 'What to do'], failureClasses.map(peopleRow)),
  ].join('\n\n')}\n`;
}

function decisionRow(row: ClassificationRow): string[] {
  const rule = failureRules[row.class];
  return [
    row.name,
    `\`${row.class}\``,
    again(row),
    rule.fate === 'retry' ? (rule.usesAttempt ? 'yes' : 'no, only time') : '',
    words(row.breaker),
    row.paid,
    rule.whoMustAct,
  ];
}

function again(row: ClassificationRow): string {
  const { fate, unlessStepSays } = failureRules[row.class];
  if (fate !== 'retry')
    return unlessStepSays === undefined ? 'no' : `only where the step says \`${unlessStepSays}\``;
  const asked = row.readsRateLimits
    ? 'as told by `Retry-After`, the limit that is used up, or the message'
    : 'as told by `Retry-After`';
  const atLeast =
    row.waitAtLeastMs === undefined ? '' : `, at least ${row.waitAtLeastMs / 1_000} s`;
  return `yes, ${asked}${atLeast}; else by backoff`;
}

function peopleRow(name: FailureClass): string[] {
  const { people, whatToDo, whoMustAct } = failureRules[name];
  const next = {
    nobody: 'nothing',
    caller: 'ask support',
    support: 'nothing: support decides',
    operator: 'nothing: the operator mends it',
  };
  return [`\`${name}\``, people, whatToDo ?? next[whoMustAct]];
}

const words = (effect: string): string => effect.replaceAll('_', ' ');

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
