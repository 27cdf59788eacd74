import type { CallGate, CallPass, Entrance, GateCall, PassEnd } from './call-gate.js';
import { Gates } from './gates.js';

const call: GateCall = {
  ...{
    callId: 'c',
    tenant: 't',
    runId: 'r',
    step: 0,
    item: 0,
    try: 1,
    priority: 'interactive',
    account: 'default',
    model: 'm',
    tier: 'default',
  },
  ...{ inputTokens: 10, maxOutputTokens: 16 },
};
const parked: Entrance = { kind: 'parked', reason: 'outage', because: 'shut', untilMs: null };

/** Notes who left it, and how. */
function gate(answer: 'open' | 'shut', left: PassEnd['kind'][]): CallGate {
  const ignore = () => undefined;
  const pass: CallPass = { answered: ignore, lost: ignore, leave: ({ kind }) => left.push(kind) };
  return {
    tryEnter: () => (answer === 'open' ? pass : null),
    enter: () => Promise.resolve(answer === 'open' ? { kind: 'entered', pass } : parked),
  };
}

describe('gates in a row', () => {
  it('are entered all or none: a later one that is shut frees what the earlier ones gave', async () => {
    const left: PassEnd['kind'][] = [];
    const gates = new Gates([gate('open', left), gate('shut', left)]);
    expect(gates.tryEnter(call)).toBeNull();
    expect(left).toEqual(['not_sent']);
    expect(await gates.enter(call, new AbortController().signal)).toEqual(parked);
    expect(left).toEqual(['not_sent', 'not_sent']);
  });

  it('are left again where one of them breaks down', async () => {
    const left: PassEnd['kind'][] = [];
    const broken: CallGate = {
      tryEnter: () => null,
      enter: () => Promise.reject(new Error('no answer')),
    };
    const entering = new Gates([gate('open', left), broken]).enter(
      call,
      new AbortController().signal,
    );
    await expect(entering).rejects.toThrow('no answer');
    expect(left).toEqual(['not_sent']);
  });

  it('hear all of them how the call ended', () => {
    const left: PassEnd['kind'][] = [];
    new Gates([gate('open', left), gate('open', left)]).tryEnter(call)?.leave({ kind: 'left' });
    expect(left).toEqual(['left', 'left']);
  });
});
