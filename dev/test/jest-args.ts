/** What the arguments of `npm run specs -- …` mean: whether servers are needed (unit specs alone need none), how many workers. */
const unitFolders = /^(\.\/)?((libs|apps|dev)\/|test\/oracle)/;

export function needsServers(args: readonly string[]): boolean {
  const projects = valuesOf('--selectProjects', args);
  if (projects.length > 0) return projects.some((project) => project !== 'unit');
  const paths = args.filter((arg) => !arg.startsWith('-') && /[/.]/.test(arg));
  return paths.length === 0 || !paths.every((path) => unitFolders.test(path));
}

/** Specs mostly wait for servers, so two workers pay even on two cores; whoever says how many has the last word. */
export function withWorkers(args: readonly string[], cores: number): string[] {
  const isSaid = args.some((arg) => /^(-w|-i|--runInBand|--maxWorkers)(=|$)/.test(arg));
  return isSaid ? [...args] : [`--maxWorkers=${Math.max(2, Math.floor(cores / 2))}`, ...args];
}

/** `--selectProjects a b` takes all that follows up to the next option. */
function valuesOf(option: string, args: readonly string[]): string[] {
  const start = args.indexOf(option);
  if (start < 0) return [];
  const rest = args.slice(start + 1);
  const end = rest.findIndex((arg) => arg.startsWith('-'));
  return end < 0 ? rest : rest.slice(0, end);
}
