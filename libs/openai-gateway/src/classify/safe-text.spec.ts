import fc from 'fast-check';
import { readCode, redactEchoes } from './safe-text.js';

it('cuts out every run of 16 or more characters that was sent', () => {
  fc.assert(
    fc.property(
      fc.string({ minLength: 30, maxLength: 200 }),
      fc.nat(10),
      fc.string({ maxLength: 40 }),
      (sent, from, around) => {
        const text = sent.replace(/\s+/g, ' ').trim();
        const echo = text.slice(from, from + 20);
        fc.pre(echo.trim().length === 20);
        expect(redactEchoes(`${around} '${echo}' ${around}`, [sent])).not.toContain(echo);
      },
    ),
  );
});

it('cuts out a short prompt whole', () => {
  expect(redactEchoes("Invalid value: 'buy 4711'.", ['buy 4711'])).toBe("Invalid value: '[…]'.");
});

it("keeps the API's own words, folded to one line", () => {
  expect(redactEchoes("Missing\nrequired \u0000parameter: 'model'.", ['What is the sky?'])).toBe(
    "Missing required parameter: 'model'.",
  );
});

it('is bounded', () => {
  expect(redactEchoes('x'.repeat(10_000), []).length).toBeLessThanOrEqual(800);
});

it('takes only identifiers for codes', () => {
  expect(readCode('rate_limit_exceeded')).toBe('rate_limit_exceeded');
  expect(readCode('input[0].content')).toBe('input[0].content');
  for (const value of ['', 'two words', 'a\u0000b', 'x'.repeat(101), 42, null, undefined])
    expect(readCode(value)).toBeNull();
});
