/** Time is moved by hand. */
import { jest } from '@jest/globals';
import { AskTimer } from './ask-timer.js';

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

/** Answers when it is told to. */
function anAsker() {
  const asks: ((isAnswered: boolean) => void)[] = [];
  const timer = new AskTimer(() => new Promise<boolean>((resolve) => asks.push(resolve)), {
    shortestMs: 20,
    afterFailureMs: 500,
  });
  const answer = async (isAnswered: boolean) => {
    asks.at(-1)?.(isAnswered);
    await jest.advanceTimersByTimeAsync(0);
  };
  return { timer, answer, count: () => asks.length };
}

it('asks once, at the earliest time that was wished', async () => {
  const { timer, count } = anAsker();
  timer.within(300);
  timer.within(100);
  timer.within(200);
  await jest.advanceTimersByTimeAsync(99);
  expect(count()).toBe(0);
  await jest.advanceTimersByTimeAsync(1);
  expect(count()).toBe(1);
  await jest.advanceTimersByTimeAsync(1_000);
  expect(count()).toBe(1);
});

it('keeps what is wished meanwhile for after the answer, and never asks twice at once', async () => {
  const { timer, answer, count } = anAsker();
  timer.within(0);
  await jest.advanceTimersByTimeAsync(0);
  timer.within(50);
  await jest.advanceTimersByTimeAsync(1_000);
  expect(count()).toBe(1);
  await answer(true);
  await jest.advanceTimersByTimeAsync(50);
  expect(count()).toBe(2);
});

it('leaves a gap between two asks', async () => {
  const { timer, answer, count } = anAsker();
  timer.within(0);
  await jest.advanceTimersByTimeAsync(0);
  await answer(true);
  timer.within(0);
  await jest.advanceTimersByTimeAsync(19);
  expect(count()).toBe(1);
  await jest.advanceTimersByTimeAsync(1);
  expect(count()).toBe(2);
});

it('asks again after a while where it was not answered, however soon somebody wished it', async () => {
  const { timer, answer, count } = anAsker();
  timer.within(0);
  await jest.advanceTimersByTimeAsync(0);
  timer.within(0);
  await answer(false);
  await jest.advanceTimersByTimeAsync(499);
  expect(count()).toBe(1);
  await jest.advanceTimersByTimeAsync(1);
  expect(count()).toBe(2);
});

it('stops when the ask on its way is over, and begins none any more', async () => {
  const { timer, answer, count } = anAsker();
  timer.within(0);
  await jest.advanceTimersByTimeAsync(0);
  timer.within(0);
  let isStopped = false;
  const stopped = timer.stop().then(() => (isStopped = true));
  await jest.advanceTimersByTimeAsync(100);
  expect(isStopped).toBe(false);
  await answer(true);
  await stopped;
  timer.within(0);
  await jest.advanceTimersByTimeAsync(1_000);
  expect(count()).toBe(1);
});
