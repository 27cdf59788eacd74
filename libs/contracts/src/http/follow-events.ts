import { ValidateBy } from 'class-validator';
import { isRunId, type RunId } from '#libs/domain';
import { rule } from './check-fields.js';

/** Runs that one stream follows, at most: a page asks for what it shows. */
export const MAX_FOLLOWED_RUNS = 100;

/** Query of `GET /v1/events`, as it stands in the URL. */
export class FollowEventsQuery {
  /** Ids of the runs to follow, separated by commas. */
  @ValidateBy(
    { name: 'runIds', validator: { validate: (value) => followedRunsOf(value) !== undefined } },
    rule(
      'is not a list of run ids',
      `Send it once: 1 to ${MAX_FOLLOWED_RUNS} ids that POST /v1/runs answered, separated by commas.`,
    ),
  )
  runs!: string;
}

/** The ids of a checked `runs`, each once; undefined where it is not such a list. */
export function followedRunsOf(runs: unknown): RunId[] | undefined {
  if (typeof runs !== 'string') return undefined;
  const names = [...new Set(runs.split(','))];
  return names.every(isRunId) && names.length <= MAX_FOLLOWED_RUNS ? names : undefined;
}
