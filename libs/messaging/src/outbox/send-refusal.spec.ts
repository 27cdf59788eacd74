import kafkajs from 'kafkajs';
import { isRefusal, refusalOf } from './send-refusal.js';

const answer = (type: string, code: number, retriable = false) =>
  new kafkajs.KafkaJSProtocolError({ type, code, retriable, message: type } as unknown as Error);

describe('what Kafka refuses for good', () => {
  it.each([
    ['MESSAGE_TOO_LARGE', 10],
    ['RECORD_LIST_TOO_LARGE', 18],
    ['INVALID_RECORD', 87],
  ])('%s is about the record', (name, code) => {
    expect(refusalOf(answer(name, code))).toBe(name);
    expect(isRefusal(new Error('wrapped', { cause: answer(name, code) }))).toBe(true);
  });

  it.each([
    ['a missing topic', answer('UNKNOWN_TOPIC_OR_PARTITION', 3, true)],
    ['missing rights', answer('TOPIC_AUTHORIZATION_FAILED', 29)],
    ['too few replicas', answer('NOT_ENOUGH_REPLICAS', 19, true)],
    ['a lost connection', new kafkajs.KafkaJSConnectionError('closed')],
    ['a bug', new TypeError('undefined is not a function')],
  ])('%s is not', (_, error) => {
    expect(isRefusal(error)).toBe(false);
  });
});
