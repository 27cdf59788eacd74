/** A run's public id: `run_` and a UUIDv7. Tables hold the bare UUID; everything people or services see holds this form. */
export type RunId = `run_${string}`;

const RUN_ID = /^run_[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

export function isRunId(text: string): text is RunId {
  return RUN_ID.test(text);
}

export function runIdOf(uuid: string): RunId {
  return `run_${uuid}`;
}

/** The bare UUID behind a run id. */
export function uuidOf(runId: RunId): string {
  return runId.slice('run_'.length);
}
