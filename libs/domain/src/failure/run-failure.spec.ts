import fc from 'fast-check';
import { fingerprintSource, normaliseMessage } from './run-failure.js';

/** What differs between two failures of one cause. */
const anyVariable = fc.oneof(
  fc.uuid(),
  fc.integer({ min: 0 }).map(String),
  fc.double({ min: 0, max: 1e6, noNaN: true }).map((value) => value.toFixed(3)),
  fc.stringMatching(/^resp_[0-9a-f]{12,40}$/),
  fc.stringMatching(/^req_[0-9a-f]{12,40}$/),
  fc.stringMatching(/^'[a-z ]{0,20}'$/),
  fc.stringMatching(/^"[a-z ]{0,20}"$/),
  fc.stringMatching(/^`[a-z.]{0,20}`$/),
);
const kindOf = (variable: string) => normaliseMessage(variable);

const templates = [
  (value: string) => `Rate limit reached for ${value}, try again later`,
  (value: string) => `the model's output breaks its contract: ${value} is missing`,
  (value: string) => `${value}: not found`,
  (value: string) => `can't read ${value} from the model's answer (doesn't parse)`,
];

describe('the fingerprint of a failure', () => {
  it('is the same whatever id, number or quoted value its message holds', () => {
    fc.assert(
      fc.property(fc.constantFrom(...templates), anyVariable, anyVariable, (template, a, b) => {
        fc.pre(kindOf(a) === kindOf(b));
        expect(normaliseMessage(template(a))).toBe(normaliseMessage(template(b)));
      }),
      { numRuns: 500 },
    );
  });

  it('does not change when it is normalised again, nor by white space', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(anyVariable, fc.constantFrom('model', '\n', "isn't"))),
        (parts) => {
          const once = normaliseMessage(parts.join(' '));
          expect(normaliseMessage(once)).toBe(once);
          expect(normaliseMessage(parts.join(' \n\t '))).toBe(once);
        },
      ),
    );
  });

  it('tells apart class, code, HTTP status, workflow, step and cause', () => {
    const failure = {
      class: 'timeout',
      code: 'a',
      httpStatus: 500,
      step: 's',
      message: 'm',
    } as const;
    const sources = [
      fingerprintSource(failure, 'w'),
      fingerprintSource({ ...failure, class: 'not_sent' }, 'w'),
      fingerprintSource({ ...failure, code: 'b' }, 'w'),
      fingerprintSource({ ...failure, httpStatus: null }, 'w'),
      fingerprintSource({ ...failure, step: null }, 'w'),
      fingerprintSource({ ...failure, message: 'other' }, 'w'),
      fingerprintSource(failure, 'v'),
    ];
    expect(new Set(sources).size).toBe(sources.length);
  });

  it.each([
    ['Request req_0123456789abcdef failed', 'Request <id> failed'],
    ['run 0198a1de-0000-7000-8000-000000000000 gone', 'run <id> gone'],
    ["Unknown parameter: 'reasoning.effort'.", 'Unknown parameter: <value>.'],
    ['waited 12.5 s of 30', 'waited <n> s of <n>'],
    ["the model's reply isn't JSON", "the model's reply isn't JSON"],
  ])('reads %j as %j', (message, normalised) => {
    expect(normaliseMessage(message)).toBe(normalised);
  });
});
