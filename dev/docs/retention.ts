/** `docs/retention.md` from the rules themselves: what goes when, by which setting, and what stays and why. */
import { keepSettings, type Keep } from '#libs/process';
import type { Retention } from '#libs/postgres';
import { apiRetention } from '../../apps/api/src/schema/index.js';
import { processorRetention } from '../../apps/processor/src/schema/index.js';

type Entry = Retention<never, Keep>;
const owners: readonly (readonly [string, readonly Entry[]])[] = [
  ['api', apiRetention],
  ['processor', processorRetention],
];

export function retentionPage(): string {
  return `# Retention

<!-- Drawn by \`npm run generate\` from the rules in \`apps/*/src/schema/retention.store.ts\`; a spec asks Postgres for all tables. -->

What is kept for how long. One process of each app, by lease, looks once a minute, and removes what has been kept for long enough in batches of 500, each a short transaction that passes over rows which somebody holds. What it removed is one log line per rule (\`kept long enough: removed\`). A drain ends it after the batch in hand.

Measured with 100,000 runs, their calls, events and contents, on a machine of two cores that others used too: a batch of 500 took 13 to 51 ms on average, depending on the rule, and 193 ms at the most; a round with nothing to remove took under 20 ms.

## Settings

Both apps read the same ones; give both the same values. 0 keeps for ever.

${table(
  ['Setting', 'Default'],
  Object.values(keepSettings).map(({ name, kept }) => [code(name), kept]),
)}

An app ends at start, naming the settings, where a run would go before its details, or before a topic forgets its messages (30 days for dead letters): an old message would then run it again.

## What goes

${table(
  ['Tables', 'What', 'Setting', 'By'],
  rows((owner, entry) =>
    entry.kind === 'goes'
      ? [
          entry.tables.map(code).join(', '),
          entry.what,
          code(keepSettings[entry.keptFor].name),
          owner,
        ]
      : null,
  ),
)}

Only what has ended goes. A run in \`needs_review\` waits for a person for as long as that takes, with all that it has.

## What stays

${table(
  ['Table', 'Because it does not grow with the work done'],
  rows((_, entry) => (entry.kind === 'stays' ? [code(entry.table), entry.because] : null)),
)}

## What callers see

1. Until the details go, everything.
2. Then the view says how the run ended and what it used, and \`expiredAt\`. Its result and its history answer 410 \`run_expired\`. Its idempotency key still finds it: nothing is done twice.
3. When the run goes, its address answers 404, and its key is free for a new run.

A document that nobody named in a run for a day, or that the last such run has let go of, is gone: a submit that names it is refused (\`invalid_documents\`) and it has to be uploaded again.

## How a content goes

Runs of both apps refer to contents, and their databases may be three different ones; so no single statement can tell that nobody does. Each content has a time for each app until when it is needed, as far as is known.

- Who stores or looks up a content in order to refer to it marks it as needed now, by both (unless it was within the hour).
- When that time is over by \`HOLDFAST_KEEP_CONTENT_HOURS\`, the app asks its own runs. One that refers to the content gives it a new time; if none does, the app lets go: but only if the mark is still the one that it saw.
- What both have let go of is removed, under the row lock that the first step takes. Whoever is second finds the content gone before it has referred to it: a put stores it anew, a submit is refused.
`;
}

function rows(
  rowOf: (owner: string, entry: Entry) => readonly string[] | null,
): (readonly string[])[] {
  return owners.flatMap(([owner, entries]) =>
    entries.map((entry) => rowOf(owner, entry)).filter((row) => row !== null),
  );
}

function table(head: readonly string[], body: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), `|${'---|'.repeat(head.length)}`, ...body.map(line)].join('\n');
}

function code(text: string): string {
  return `\`${text}\``;
}
