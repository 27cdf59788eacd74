import { atMostEvery } from './at-most-every.js';

it('a reading that costs is made once in its time, for all who ask', async () => {
  let now = 0;
  let reads = 0;
  const read = atMostEvery(
    10,
    async () => ++reads,
    () => now,
  );
  expect(await Promise.all([read(), read()])).toEqual([1, 1]);
  now = 9;
  expect(await read()).toBe(1);
  now = 10;
  expect(await read()).toBe(2);
});

it('a reading that fails is made again at once', async () => {
  let reads = 0;
  const read = atMostEvery(10, () =>
    ++reads === 1 ? Promise.reject(new Error('away')) : Promise.resolve(reads),
  );
  await expect(read()).rejects.toThrow('away');
  expect(await read()).toBe(2);
});
