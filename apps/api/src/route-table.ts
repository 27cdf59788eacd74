/** Which methods each address takes: what tells 405 (and its `Allow`) from 404. Filled by Fastify's `onRoute` hook. */
export class RouteTable {
  private readonly routes: { segments: readonly string[]; methods: readonly string[] }[] = [];

  add(methods: string | readonly string[], url: string): void {
    this.routes.push({ segments: segmentsOf(url), methods: [methods].flat() });
  }

  /** Methods that some route takes at this path, sorted; none: there is nothing at this address. */
  methodsAt(path: string): string[] {
    const segments = segmentsOf(path);
    const found = this.routes.filter((route) => fits(route.segments, segments));
    return [...new Set(found.flatMap((route) => route.methods))].sort();
  }
}

function segmentsOf(url: string): string[] {
  return (url.split('?')[0] ?? '').split('/').slice(1);
}

function fits(route: readonly string[], path: readonly string[]): boolean {
  if (route.length !== path.length) return false;
  return route.every((segment, index) =>
    segment.startsWith(':') ? path[index] !== '' : segment === path[index],
  );
}
