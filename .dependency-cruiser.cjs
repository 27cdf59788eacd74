/** The import rules of docs/architecture.md, as data. Package rules bind apps/ and libs/; dev/, bench/ and test/ may use anything. */
const lib = (name) => `^libs/${name}/`;
const npm = (name) => `(^|/)node_modules/${name}(/|$)`;

module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: { path: '^(apps|libs)/' }, to: { circular: true } },
    { name: 'libs-never-import-apps', severity: 'error', from: { path: '^libs/' }, to: { path: '^(apps|dev|bench|test)/' } },
    { name: 'apps-never-import-each-other', severity: 'error', from: { path: '^apps/([^/]+)/' }, to: { path: '^apps/', pathNot: '^apps/$1/' } },
    { name: 'apps-never-import-dev', severity: 'error', from: { path: '^apps/' }, to: { path: '^(dev|bench|test)/' } },
    {
      name: 'libs-are-entered-by-their-front-door', severity: 'error',
      from: { path: '^(apps|dev|bench|test)/' }, to: { path: '^libs/[^/]+/src/', pathNot: '^libs/[^/]+/src/index\\.ts$' },
    },
    {
      name: 'other-libs-are-entered-by-their-front-door', severity: 'error',
      from: { path: '^libs/([^/]+)/' }, to: { path: '^libs/[^/]+/src/', pathNot: ['^libs/$1/', '^libs/[^/]+/src/index\\.ts$'] },
    },
    { name: 'domain-is-pure', severity: 'error', from: { path: lib('domain'), pathNot: '\\.spec\\.ts$' }, to: { pathNot: lib('domain') } },
    {
      name: 'workflows-are-pure', severity: 'error',
      from: { path: lib('workflows'), pathNot: '\\.spec\\.ts$' }, to: { pathNot: [lib('workflows'), '^libs/domain/src/index\\.ts$', npm('ajv')] },
    },
    {
      name: 'contracts-import-little', severity: 'error',
      from: { path: lib('contracts'), pathNot: '\\.spec\\.ts$' },
      to: { pathNot: [lib('contracts'), '^libs/domain/src/index\\.ts$', npm('class-validator'), npm('class-transformer'), npm('@nestjs/swagger'), npm('reflect-metadata')] },
    },
    { name: 'messaging-knows-messages-not-runs', severity: 'error', from: { path: lib('messaging') }, to: { path: '^libs/(domain|contracts|workflows|openai-gateway|content)/' } },
    { name: 'gateway-knows-openai-not-runs', severity: 'error', from: { path: lib('openai-gateway') }, to: { path: '^libs/(contracts|workflows|messaging|content)/' } },
    { name: 'content-knows-only-postgres', severity: 'error', from: { path: lib('content') }, to: { path: '^libs/(?!content|postgres)' } },
    { name: 'postgres-stands-alone', severity: 'error', from: { path: lib('postgres') }, to: { path: '^libs/(?!postgres)' } },
    { name: 'webhooks-know-only-domain', severity: 'error', from: { path: lib('webhooks') }, to: { path: '^libs/(?!webhooks|domain)' } },
    { name: 'standardwebhooks-only-in-webhooks', severity: 'error', from: { path: '^(apps|libs)/', pathNot: lib('webhooks') }, to: { path: npm('(standardwebhooks|ipaddr\\.js)') } },
    { name: 'api-sends-no-webhooks', severity: 'error', from: { path: '^apps/api/' }, to: { path: lib('webhooks') } },
    { name: 'metrics-stand-alone', severity: 'error', from: { path: lib('metrics') }, to: { path: '^libs/(?!metrics)' } },
    { name: 'prom-client-only-in-metrics', severity: 'error', from: { path: '^(apps|libs)/', pathNot: lib('metrics') }, to: { path: npm('prom-client') } },
    { name: 'process-stands-alone', severity: 'error', from: { path: lib('process') }, to: { path: '^libs/(?!process)' } },
    { name: 'tracing-stands-alone', severity: 'error', from: { path: lib('tracing') }, to: { path: '^libs/(?!tracing)' } },
    { name: 'opentelemetry-only-in-tracing', severity: 'error', from: { path: '^(apps|libs)/', pathNot: lib('tracing') }, to: { path: npm('@opentelemetry') } },
    { name: 'pause-points-stand-alone', severity: 'error', from: { path: lib('pause-points') }, to: { path: '^libs/(?!pause-points)' } },
    { name: 'api-never-reaches-the-gateway', severity: 'error', from: { path: '^apps/api/' }, to: { path: lib('openai-gateway') } },
    {
      name: 'nest-stays-at-the-edge', severity: 'error',
      from: { path: '^libs/', pathNot: ['\\.module\\.ts$', '^libs/messaging/src/nest/', lib('contracts'), '\\.spec\\.ts$'] }, to: { path: npm('@nestjs') },
    },
    { name: 'kafkajs-only-in-messaging', severity: 'error', from: { path: '^(apps|libs)/', pathNot: lib('messaging') }, to: { path: npm('kafkajs') } },
    { name: 'openai-only-in-the-gateway', severity: 'error', from: { path: '^(apps|libs)/', pathNot: lib('openai-gateway') }, to: { path: npm('openai') } },
    { name: 'pino-only-in-process', severity: 'error', from: { path: '^(apps|libs)/', pathNot: lib('process') }, to: { path: npm('pino') } },
    {
      name: 'sql-only-in-stores', severity: 'error',
      from: { path: '^(apps|libs)/', pathNot: [lib('postgres'), lib('content'), '\\.store\\.ts$', '\\.entity\\.ts$', '/migrations/', '\\.spec\\.ts$'] },
      to: { path: [npm('pg'), npm('typeorm')] },
    },
    {
      name: 'features-meet-in-the-module', severity: 'error',
      from: { path: '^apps/([^/]+)/src/([^/]+)/', pathNot: '\\.module\\.ts$' }, to: { path: '^apps/$1/src/[^/]+/', pathNot: ['^apps/$1/src/$2/', '^apps/$1/src/schema/'] },
    },
    { name: 'nothing-unresolved', severity: 'error', from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^dist/' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['types', 'import', 'node', 'default'], mainFields: ['main', 'types'] },
  },
};
