export function findMissing(env: NodeJS.ProcessEnv, wanted: { servers: boolean }): string[];
export function explainMissing(missing: readonly string[]): string;
export function parseJavaVersion(text: string): number | null;
