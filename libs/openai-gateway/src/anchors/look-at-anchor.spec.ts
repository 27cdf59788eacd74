/** What OpenAI says of a conversation, and what follows of it. Stands in: an endpoint that tells what the spec says, and takes as long. */
import { lookAtAnchor, type LookParts } from './look-at-anchor.js';

type Listed = Awaited<ReturnType<LookParts['endpoint']['listItems']>>;
type Removed = Awaited<ReturnType<LookParts['endpoint']['deleteConversation']>>;

const ids = { requestId: 'req_1', headers: new Headers() };
const refused = (status: number, code: string | null, isOpenAis = true) =>
  ({ kind: 'refused', status, code, isOpenAis, param: null, message: '', ...ids }) as const;
const empty: Listed = { kind: 'answered', value: [], ...ids };
const removed: Removed = { kind: 'answered', value: true, ...ids };
const silence = {
  ...({ kind: 'no_answer', requestLeft: true, cause: 'UND_ERR_SOCKET', httpStatus: null } as const),
  requestId: null,
};

/** What it comes to, and whether anything was removed. */
async function look(
  listed: Listed,
  told: Removed = removed,
  { mayDelete = true, tookMs = 5 } = {},
) {
  let nowMs = 0;
  let removals = 0;
  const endpoint: LookParts['endpoint'] = {
    listItems: () => {
      nowMs += tookMs;
      return Promise.resolve(listed);
    },
    deleteConversation: () => {
      removals += 1;
      return Promise.resolve(told);
    },
  };
  const parts = { endpoint, timeoutMs: 1_000, monotonicMs: () => nowMs };
  const { kind } = await lookAtAnchor({ anchor: 'conv_1', mayDelete }, parts);
  return { kind, removals };
}

describe('an empty anchor', () => {
  it('is removed once the call had its time: it never ran', async () => {
    expect(await look(empty)).toEqual({ kind: 'never_taken', removals: 1 });
  });

  it('stays before', async () => {
    expect(await look(empty, removed, { mayDelete: false })).toEqual({
      ...{ kind: 'not_yet', removals: 0 },
    });
  });

  it.each<[string, Removed, string]>([
    ['is locked: the call runs', refused(409, null), 'running'],
    ['is locked, in the older words', refused(400, 'conversation_locked'), 'running'],
    ['is gone meanwhile', refused(404, null), 'never_taken'],
    ['is refused otherwise', refused(500, 'server_error'), 'unclear'],
    ['is not answered', silence, 'unclear'],
  ])('whose removal %s', async (_, told, kind) => {
    expect(await look(empty, told)).toEqual({ kind, removals: 1 });
  });

  it('is looked at once more where the look took long: its call may have ended meanwhile', async () => {
    expect(await look(empty, removed, { tookMs: 2_001 })).toEqual({ kind: 'unclear', removals: 0 });
    expect(await look(empty, removed, { tookMs: 2_000 })).toMatchObject({ removals: 1 });
  });
});

it.each<[string, Listed, string]>([
  ['that is gone was removed before', refused(404, null), 'never_taken'],
  ['that a proxy does not find says nothing', refused(404, null, false), 'unclear'],
  ['that is refused says nothing', refused(429, 'rate_limit_exceeded'), 'unclear'],
  ['that does not answer says nothing', silence, 'unclear'],
])('an anchor %s, and nothing is removed', async (_, listed, kind) => {
  expect(await look(listed)).toEqual({ kind, removals: 0 });
});
