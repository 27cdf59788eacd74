/** Recorded messages are what api and processor really put on Kafka, copied from the topics of a run. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runEventNames, topicDefinitions, topics, wireTypeOf } from '#libs/contracts';
import { asyncApiDocument } from '../../apps/api/src/describe-api/asyncapi.js';
import type { JsonSchema } from '../../apps/api/src/describe-api/class-schema.js';
import { repositoryRoot } from '../stack/repository.js';
import { apiDocuments, jsonPage } from './api-documents.js';
import { describedAs, messageProblems, type PublishedRecord } from './check-message.js';

const recorded = JSON.parse(
  await readFile(join(repositoryRoot, 'dev/docs/recorded-messages.json'), 'utf8'),
) as readonly PublishedRecord[];
const cases = recorded.map((record): [string, PublishedRecord] => [
  describedAs(record) ?? 'nothing',
  record,
]);
const asyncApi = asyncApiDocument();

describe('the committed documents of the API', () => {
  it.each(Object.entries(apiDocuments))('%s is what the code says', async (page, document) => {
    const path = join(repositoryRoot, page);
    expect(await readFile(path, 'utf8')).toBe(await jsonPage(path, document()));
  });
});

describe('asyncapi.json', () => {
  it('has a channel for every topic that is made, with its key, retention and partitions', () => {
    const channels = Object.values(asyncApi.channels);
    expect(channels.map(({ address }) => address).sort()).toEqual(
      topicDefinitions()
        .map(({ name }) => name)
        .sort(),
    );
    for (const { name, partitions, retentionMs } of topicDefinitions()) {
      const channel = channels.find(({ address }) => address === name);
      expect(channel?.bindings.kafka).toMatchObject({
        partitions,
        topicConfiguration: { 'retention.ms': retentionMs },
      });
    }
  });

  it('describes every event of the contracts', () => {
    const types = Object.values(asyncApi.components.messages).map(({ name }) => name);
    expect(types).toEqual(expect.arrayContaining(runEventNames.map(wireTypeOf)));
  });

  it('points only at what it holds', () => {
    const refs = JSON.stringify(asyncApi).matchAll(/"\$ref":"#\/([^"]+)"/g);
    for (const [, path = ''] of refs) {
      const found = path
        .split('/')
        .reduce<unknown>((at, key) => (at as Record<string, unknown>)?.[key], asyncApi);
      expect([path, typeof found]).toEqual([path, 'object']);
    }
  });

  it('describes each message that was recorded, and every message was recorded', () => {
    const ids = new Set(cases.map(([name]) => name.split('/')[1]));
    expect([...ids].sort()).toEqual(Object.keys(asyncApi.components.messages).sort());
  });

  it.each(cases)('%s fits as it was recorded', (_, record) => {
    expect(messageProblems(record)).toEqual([]);
  });
});

describe('a broken message does not fit:', () => {
  const without = (from: object, name: string) =>
    Object.fromEntries(Object.entries(from).filter(([key]) => key !== name));

  it.each(cases)('%s without any one of its required fields or headers', (name, record) => {
    const id = name.split('/')[1] ?? '';
    const schemas = asyncApi.components.schemas as Readonly<Record<string, JsonSchema>>;
    const data = asyncApi.components.messages[id]?.payload.$ref.split('/').at(-1) ?? '';
    const fields = schemas[data]?.['required'] as string[];
    expect(fields.length).toBeGreaterThan(0);
    for (const field of fields) {
      const broken = { ...record, data: without(record.data as object, field) };
      expect([field, messageProblems(broken)]).not.toEqual([field, []]);
    }
    for (const header of ['ce_id', 'ce_type', 'ce_subject', 'ce_time', 'ce_partitionkey']) {
      const broken = { ...record, headers: without(record.headers, header) };
      expect([header, messageProblems(broken)]).not.toEqual([header, []]);
    }
  });

  it.each<[string, (data: Record<string, unknown>) => object]>([
    ['a status that there is not', (data) => ({ ...data, status: 'done' })],
    ['a version that is no number', (data) => ({ ...data, version: '1' })],
    ['a version before the first', (data) => ({ ...data, version: 0 })],
    ['a bare UUID for a run id', (data) => ({ ...data, runId: String(data['runId']).slice(4) })],
    ['a date without a time', (data) => ({ ...data, occurredAt: '2026-01-01' })],
    ['labels in a list', (data) => ({ ...data, labels: [] })],
    ['half a failure', (data) => ({ ...data, failure: { class: 'throttled' } })],
    ['a failure of no class', (data) => breakPart(data, 'failure', { class: 'bad_luck' })],
    ['a wait for nothing', (data) => ({ ...data, waiting: { reason: 'lunch', until: null } })],
  ])('%s', (_, breaks) => {
    const record = recorded.find(({ headers }) => headers['ce_type']?.includes('retry-scheduled'));
    if (!record) throw new Error('no RunRetryScheduled was recorded');
    const data = breaks(record.data as Record<string, unknown>);
    expect(messageProblems({ ...record, data })).not.toEqual([]);
  });

  it('a message on a topic that does not carry it', () => {
    for (const [, record] of cases) {
      const topic = record.topic === topics.opsEvents ? topics.runEvents : topics.opsEvents;
      expect(messageProblems({ ...record, topic })).not.toEqual([]);
    }
  });

  it('a retry that does not say when', () => {
    const record = recorded.find(({ topic }) => topic.includes('.retry.'));
    if (!record) throw new Error('no retry was recorded');
    const headers = without(record.headers, 'x-holdfast-not-before');
    expect(messageProblems({ ...record, headers })).not.toEqual([]);
  });
});

function breakPart(data: Record<string, unknown>, part: string, change: object): object {
  return { ...data, [part]: { ...(data[part] as object), ...change } };
}
