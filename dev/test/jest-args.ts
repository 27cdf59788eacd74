/** What the arguments of `npm run specs -- …` mean for the servers: unit specs alone need none. */
const unitFolders = /^(\.\/)?(libs|apps|dev)\//;

export function needsServers(args: readonly string[]): boolean {
  const projects = valuesOf('--selectProjects', args);
  if (projects.length > 0) return projects.some((project) => project !== 'unit');
  const paths = args.filter((arg) => !arg.startsWith('-') && /[/.]/.test(arg));
  return paths.length === 0 || !paths.every((path) => unitFolders.test(path));
}

/** `--selectProjects a b` takes all that follows up to the next option. */
function valuesOf(option: string, args: readonly string[]): string[] {
  const start = args.indexOf(option);
  if (start < 0) return [];
  const rest = args.slice(start + 1);
  const end = rest.findIndex((arg) => arg.startsWith('-'));
  return end < 0 ? rest : rest.slice(0, end);
}
