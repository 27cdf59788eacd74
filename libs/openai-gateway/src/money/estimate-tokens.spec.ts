/** Real: the tokeniser. */
import { readFileSync } from 'node:fs';
import { countTokens } from 'gpt-tokenizer/encoding/o200k_base';
import { estimateInputTokens } from './estimate-tokens.js';

const exactly = (text: string) => countTokens(text, { disallowedSpecial: new Set() });
const frame = 32;
const tender = readFileSync('dev/samples/larkmoor-patient-booking.md', 'utf8');
const large = tender.repeat(30).slice(0, 500_000);
const estimate = (input: string) => estimateInputTokens({ instructions: '', input });

it.each([
  ['a short question', 'What does shall mean?'],
  ['a tender', tender],
  ['special tokens, as plain text', 'an <|endoftext|> and an <|im_start|>'],
])('counts %s exactly', async (_what, text) => {
  expect(await estimate(text)).toBe(frame + exactly(text));
});

it.each([
  ['half a megabyte', large],
  ['Chinese', '漢字仮名交じり文です。'.repeat(3_000)],
  ['symbols', '{"a":[1,2,3]},'.repeat(2_000)],
  ['pictures of faces', '😀😃'.repeat(2_000)],
  ['white space', ' \n'.repeat(5_000)],
])('counts %s from above, by a tenth at most', async (_what, text) => {
  const counted = (await estimate(text)) - frame;
  expect(counted).toBeGreaterThanOrEqual(exactly(text));
  expect(counted).toBeLessThanOrEqual(exactly(text) * 1.1 + 100);
});

it('counts instructions and schema too', async () => {
  const schema = { type: 'object', properties: {} };
  const request = { instructions: 'Be brief.', input: 'Hello.', output: { name: 'a', schema } };
  const parts = [request.instructions, request.input, JSON.stringify(schema)].map(exactly);
  expect(await estimateInputTokens(request)).toBe(frame + parts.reduce((sum, part) => sum + part));
});

it.each([
  ['half a megabyte of text', large],
  ['half a megabyte of one letter', 'a'.repeat(500_000)],
  ['half a megabyte of blanks', ' '.repeat(500_000)],
])('lets others have their turn while it counts %s', async (_what, text) => {
  let longestMs = 0;
  let last = process.threadCpuUsage();
  const tick = () => {
    const { user, system } = process.threadCpuUsage(last);
    longestMs = Math.max(longestMs, (user + system) / 1_000);
    last = process.threadCpuUsage();
    next = setImmediate(tick);
  };
  let next = setImmediate(tick);
  await estimate(text);
  clearImmediate(next);
  expect(longestMs).toBeLessThan(100);
});
