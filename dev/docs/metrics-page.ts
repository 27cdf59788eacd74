/** `docs/metrics.md` from the catalogue of libs/metrics. */
import { definitionOf, metricNames, type AppName } from '#libs/metrics';

export function metricsPage(): string {
  return `${[
    '# Metrics',
    '<!-- Written by dev/docs from the catalogue of libs/metrics. Do not edit: change the catalogue, then `npm run generate`. -->',
    'Both apps serve `GET /metrics` in the text format of Prometheus, on the port of the app. Besides what is listed here, each serves the [default metrics of prom-client](https://github.com/siimon/prom-client#default-metrics): CPU, memory, event loop, garbage collection.',
    'Labels have few values: never a run, a call, a tenant, or a text that a caller writes. Counters start at zero with the process. What has to be asked of Postgres is counted up to a bound and at most every 10 s, however often one scrapes; where Postgres does not answer within 2 s, these metrics are left out of the answer.',
    ...sectionOf('Of both apps', ['api', 'processor']),
    ...sectionOf('Of the api', ['api']),
    ...sectionOf('Of the processor', ['processor']),
  ].join('\n\n')}\n`;
}

function sectionOf(title: string, apps: readonly AppName[]): string[] {
  const names = metricNames.filter((name) => definitionOf(name).apps.join() === apps.join());
  const head = ['| Metric | Labels | Means | When it moves |', '|---|---|---|---|'];
  return [`## ${title}`, [...head, ...names.map(rowOf)].join('\n')];
}

function rowOf(name: (typeof metricNames)[number]): string {
  const { type, labels, meaning, whenItMoves } = definitionOf(name);
  const labelled = Object.entries(labels).map(([label, values]) => `\`${label}\`: ${values}`);
  return `| \`${name}\` (${type}) | ${labelled.join('<br>')} | ${meaning} | ${whenItMoves} |`;
}
