/**
 * Docker is not everywhere: so `docker-compose.yml`, `Dockerfile` and `nest-cli.json` are held to what the repository has. Read as
 * YAML, with its merge keys and its defaults filled in, and given to the apps' own readers of settings.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CORE_SCHEMA, load, mergeTag } from 'js-yaml';
import { parseSettings as parseApiSettings } from '../../apps/api/src/settings.js';
import { routes } from '../../apps/api/src/describe-api/routes.js';
import { parseSettings as parseProcessorSettings } from '../../apps/processor/src/settings.js';
import { repositoryRoot } from './repository.js';

interface Service {
  readonly image: string;
  readonly build?: string;
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string | number>>;
  readonly ports?: readonly string[];
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly healthcheck?: { readonly test: readonly string[] };
}

const read = (path: string) => readFileSync(join(repositoryRoot, path), 'utf8');
/** `${NAME:-default}` as Compose fills it in where the name is not set. */
const filledIn = (text: string) => text.replaceAll(/\$\{\w+:-([^}]*)\}/g, '$1');
const { services } = load(filledIn(read('docker-compose.yml')), {
  schema: CORE_SCHEMA.withTags(mergeTag),
}) as {
  readonly services: Readonly<Record<string, Service>>;
};
const own = Object.entries(services).filter(([, { image }]) => image === 'holdfast');
const environmentOf = (name: string): Record<string, string> =>
  Object.fromEntries(
    Object.entries(services[name]?.environment ?? {}).map(([key, value]) => [key, String(value)]),
  );

it('has Postgres, Kafka, the migrations, both apps and the simulator', () => {
  const names = ['api', 'kafka', 'migrate', 'postgres', 'processor', 'simulator'];
  expect(Object.keys(services).sort()).toEqual(names);
});

it.each([
  ['api', parseApiSettings],
  ['processor', parseProcessorSettings],
] as const)(
  'the %s starts with the settings that it is given, and with every one of them',
  (name, parse) => {
    const environment = environmentOf(name);
    expect(parse(environment)).toMatchObject({ kind: 'settings', settings: { host: '0.0.0.0' } });
    const asked = new Set<string>();
    parse(new Proxy(environment, { get: (env, key: string) => (asked.add(key), env[key]) }));
    expect(Object.keys(environment).filter((key) => !asked.has(key))).toEqual([]);
    const { HOLDFAST_ALLOW_OPEN_HOST: _, ...closed } = environment;
    expect(parse(closed)).toMatchObject({
      kind: 'bad_settings',
      problems: [{ name: 'HOLDFAST_HOST' }],
    });
  },
);

it('publishes nothing but on this machine', () => {
  const ports = Object.values(services).flatMap((service) => service.ports ?? []);
  expect(ports.length).toBeGreaterThan(0);
  for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:/);
});

it('runs scripts that the build makes', () => {
  const scripts = own.flatMap(
    ([, { command }]) => command?.join(' ').match(/dist\/\S+\.js/g) ?? [],
  );
  expect(scripts).toHaveLength(6);
  for (const script of scripts) {
    const source = script.replace(/^dist\//, '').replace(/\.js$/, '.ts');
    expect([source, existsSync(join(repositoryRoot, source))]).toEqual([source, true]);
  }
});

it('asks for health where it is answered', () => {
  const places = Object.fromEntries(
    own.map(([name, { healthcheck }]) => [
      name,
      /http:\/\/127\.0\.0\.1:(\d+)(\/[\w/]+)/.exec(healthcheck?.test.join(' ') ?? ''),
    ]),
  );
  expect(places['api']?.[1]).toBe(environmentOf('api')['API_PORT']);
  expect(places['processor']?.[1]).toBe(environmentOf('processor')['PROCESSOR_PORT']);
  expect(places['simulator']?.[1]).toBe(environmentOf('simulator')['SIMULATOR_PORT']);
  expect(routes.map(({ path }) => path)).toContain(places['api']?.[2]);
  expect(places['processor']?.[2]).toBe(places['api']?.[2]);
  expect(read('dev/simulator/simulator.ts')).toContain(`'GET ${places['simulator']?.[2]}'`);
});

it('waits for those that are there and can be waited for', () => {
  for (const [name, { depends_on: needs = {} }] of own) {
    for (const [needed, { condition }] of Object.entries(needs)) {
      const service = services[needed];
      const canTell = condition === 'service_healthy' ? service?.healthcheck : service?.command;
      expect([name, needed, canTell !== undefined]).toEqual([name, needed, true]);
    }
  }
});

describe('the image', () => {
  const dockerfile = read('Dockerfile');

  it('is made of what is there and is not kept out of it', () => {
    const taken = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(
      ([, names]) => names?.split(' ') ?? [],
    );
    const letIn = read('.dockerignore')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1));
    expect([...new Set(taken)].sort()).toEqual([...letIn].sort());
    for (const path of taken)
      expect([path, existsSync(join(repositoryRoot, path))]).toEqual([path, true]);
  });

  it('runs as somebody who does not own its code, on Node 24', () => {
    expect(dockerfile.trimEnd().split('\n').at(-1)).toBe('USER node');
    for (const [, from] of dockerfile.matchAll(/^FROM (\S+)/gm)) expect(from).toMatch(/^node:24-/);
  });
});

it('nest-cli.json names the apps as they are', () => {
  const cli = JSON.parse(read('nest-cli.json')) as {
    readonly root: string;
    readonly sourceRoot: string;
    readonly compilerOptions: { readonly tsConfigPath: string };
    readonly projects: Readonly<
      Record<string, { root: string; sourceRoot: string; entryFile: string }>
    >;
  };
  expect(Object.keys(cli.projects).sort()).toEqual(['api', 'processor']);
  const paths = [
    cli.root,
    cli.sourceRoot,
    cli.compilerOptions.tsConfigPath,
    ...Object.values(cli.projects).flatMap(({ root, sourceRoot, entryFile }) => [
      root,
      `${sourceRoot}/${entryFile}.ts`,
    ]),
  ];
  for (const path of paths)
    expect([path, existsSync(join(repositoryRoot, path))]).toEqual([path, true]);
});
