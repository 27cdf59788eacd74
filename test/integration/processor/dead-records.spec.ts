/**
 * Real: Postgres, the processor's stores, decoding. Stands in: Kafka: records are handed over as they would be read.
 * A record that is never settled holds its partition for ever: whatever comes in must be settled, by a row or by a dead letter.
 */
import { noMetrics } from '#libs/metrics';
import { decisionTypeOf, REQUEST_UNREADABLE, RUN_REQUESTED, workHeaders } from '#libs/contracts';
import { decodeRecord, Outbox, type RawRecord } from '#libs/messaging';
import { workflows } from '#libs/workflows';
import { AdmitRuns } from '../../../apps/processor/src/admit-runs/admit-runs.js';
import { DeadRecordsStore } from '../../../apps/processor/src/admit-runs/dead-records.store.js';
import { GivenResultsStore } from '../../../apps/processor/src/admit-runs/given-results.store.js';
import {
  aDecision,
  aWork,
  openProcessorFixture,
  type ProcessorFixture,
} from './processor-fixture.js';

let fixture: ProcessorFixture;
let admitRuns: AdmitRuns;
let ready = 0;

beforeAll(async () => {
  fixture = await openProcessorFixture();
  const nothing = () => undefined;
  admitRuns = new AdmitRuns({
    store: fixture.processor('one').admit,
    deadRecords: new DeadRecordsStore(
      fixture.database,
      new Outbox({ schema: 'processor', source: '/holdfast/processor' }),
    ),
    givenResults: new GivenResultsStore(fixture.database, noContents, workflows, 0),
    workflows,
    relay: { hint: nothing },
    metrics: noMetrics,
    log: { debug: nothing, info: nothing, warn: nothing, error: nothing },
    onReady: () => void ready++,
    onCancelStored: nothing,
  });
});
afterAll(() => fixture.stop());
beforeEach(async () => {
  await fixture.empty();
  ready = 0;
});

/** No run here is completed by hand. */
const noContents = { get: () => Promise.reject(new Error('no content is asked for')) };

let offset = 0;
/** A good request, but for what is changed. */
function aRecord(changes: Partial<RawRecord> = {}, data: object = {}): RawRecord {
  const { request } = aWork();
  const { runId } = request;
  return {
    topic: 'holdfast.run.requested.v1',
    partition: 2,
    offset: String(offset++),
    timestamp: '1700000000000',
    key: Buffer.from(runId),
    value: Buffer.from(JSON.stringify({ ...request, ...data })),
    ...changes,
    headers: {
      ...{ ce_specversion: '1.0', ce_id: 'x', ce_source: '/x', ce_type: RUN_REQUESTED },
      ...{ ce_subject: runId, ce_time: '2026-01-01T00:00:00Z', [workHeaders.dispatch]: '1' },
      ...changes.headers,
    },
  };
}

function aCompletion(data: object): RawRecord {
  const decisionId = 'dec_01a20bcf-cc2c-7551-9dad-11986b432f08';
  const headers = { ce_type: decisionTypeOf('complete') };
  return aRecord({ headers }, { decisionId, resultRef: 'cnt_x', reason: null, ...data });
}

function settle(record: RawRecord): Promise<void> {
  const decoded = decodeRecord(record);
  return decoded.kind === 'message'
    ? admitRuns.admit(decoded.message)
    : admitRuns.undecodable(decoded);
}

async function deadLetters() {
  const rows = await fixture.sql<{ key: string; headers: Buffer; body: Buffer }>(
    `SELECT key, headers, body FROM processor.outbox WHERE topic = 'holdfast.run.requested.v1.dlt' ORDER BY seq`,
  );
  return rows.map(({ key, headers, body }) => {
    const read = JSON.parse(headers.toString()) as Record<string, string>;
    const data = JSON.parse(body.toString()) as { code: string };
    return { key, code: data.code, id: read['ce_id'], headers: read, body: body.toString() };
  });
}

const NUL = '\0';
const strange: readonly [what: string, record: RawRecord, code: string][] = [
  ['no value', aRecord({ value: null }), 'value_missing'],
  ['a value that is no JSON', aRecord({ value: Buffer.from('{"a":') }), 'json_invalid'],
  ['an empty key', aRecord({ key: Buffer.from('') }), 'key_missing'],
  ['a key with U+0000', aRecord({ key: Buffer.from(NUL), value: null }), 'value_missing'],
  ['an empty subject', aRecord({ headers: { ce_subject: '' } }), 'header_invalid'],
  [
    'a subject with U+0000',
    aRecord({ headers: { ce_subject: NUL }, value: null }),
    'value_missing',
  ],
  ['a key of a megabyte', aRecord({ key: Buffer.alloc(1_000_000, 'k') }), 'value_too_large'],
  [
    'a subject of a megabyte',
    aRecord({ headers: { ce_subject: 's'.repeat(1e6) } }),
    'value_too_large',
  ],
  [
    'another type',
    aRecord({ headers: { ce_type: 'dev.holdfast.run.cancelled.v9' } }),
    'type_unknown',
  ],
  ['a type of 800 KB', aRecord({ headers: { ce_type: 't'.repeat(800_000) } }), 'type_unknown'],
  ['a key that is not its run', aRecord({ key: Buffer.from('run_x') }), 'key_mismatch'],
  ['another key, with U+0000', aRecord({ key: Buffer.from(NUL) }), 'key_mismatch'],
  ['no dispatch', aRecord({ headers: { [workHeaders.dispatch]: '' } }), 'header_invalid'],
  ['a tenant with U+0000', aRecord({}, { tenant: `a${NUL}b` }), 'row_refused'],
  ['a workflow with U+0000', aRecord({}, { workflow: NUL }), 'row_refused'],
  ['a reference of 600 KB', aRecord({}, { reference: 'r'.repeat(600_000) }), 'request_too_large'],
  ['a version that is no int4', aRecord({}, { workflowVersion: 3e9 }), 'row_refused'],
  ['a deadline that Postgres cannot read', aRecord({}, { deadlineAt: '2026-W01' }), 'row_refused'],
  [
    'a value nested without end',
    aRecord({ value: Buffer.from('['.repeat(9e4) + ']'.repeat(9e4)) }),
    'json_too_deep',
  ],
  ['a completion for a tenant with U+0000', aCompletion({ tenant: NUL }), 'row_refused'],
];

describe('a record of the work topic with', () => {
  it.each(strange)('%s is settled by a dead letter that says why', async (_what, record, code) => {
    await Promise.all([settle(aRecord()), settle(record), settle(aRecord())]);
    expect(ready).toBe(2);
    expect(await deadLetters()).toMatchObject([
      { code, headers: { 'x-holdfast-original-offset': record.offset } },
    ]);
  });
});

it.each(['constructor', '__proto__'])('a run with a label called %s is admitted', async (name) => {
  const labels = JSON.parse(`{"${name}":"x"}`) as object;
  await settle(aRecord({}, { labels }));
  expect(ready).toBe(1);
  expect(await deadLetters()).toEqual([]);
});

describe('a request that cannot be read', () => {
  const whose = {
    [workHeaders.tenant]: 'bids',
    [workHeaders.workflow]: 'answer',
    [workHeaders.workflowVersion]: '1',
  };
  const unread = (changes: Partial<RawRecord> = {}, data: object = {}) =>
    aRecord({ value: Buffer.from('{'), ...changes, headers: whose }, data);
  const uuidIn = (record: RawRecord) => record.key!.toString().slice('run_'.length);

  it.each([
    ['no JSON', unread()],
    ['no value', unread({ value: null })],
    ['no workflow', { ...unread(), value: Buffer.from('{"runId":"x"}') }],
  ])('puts its run before a person where nothing is known of it yet: %s', async (_what, record) => {
    await Promise.all([settle(aRecord()), settle(record), settle(record)]);
    expect(await fixture.row(uuidIn(record))).toMatchObject({
      ...{ status: 'needs_review', version: 1, tenant: 'bids', workflow: 'answer', fence: 0n },
      failure: expect.objectContaining({ code: REQUEST_UNREADABLE }) as object,
    });
    const told = await fixture.events(uuidIn(record));
    expect(told.map(({ name }) => name)).toEqual(['RunNeedsReview']);
    const sent = (await fixture.sent(uuidIn(record))).map(({ headers }) => headers['ce_type']);
    expect(sent.filter((type) => type === RUN_REQUESTED)).toHaveLength(1);
    expect(ready).toBe(1);
  });

  it('leaves a known run alone', async () => {
    const good = aRecord();
    await settle(good);
    const before = await fixture.row(uuidIn(good));
    await settle(unread({ key: good.key })); // its subject names another run
    await settle({ ...good, value: null, headers: { ...good.headers, ...whose } });
    expect(await fixture.row(uuidIn(good))).toEqual(before);
  });

  it('of which nothing says whose it is goes to the dead letters only', async () => {
    const record = aRecord({ value: null });
    await settle(record);
    expect(await fixture.row(uuidIn(record))).toBeUndefined();
  });

  it('is carried out once it has come with its redrive', async () => {
    const good = aRecord({}, { tenant: 'bids', reference: 'tender 42' });
    const runId = uuidIn(good);
    await settle({ ...good, value: Buffer.from('{'), headers: { ...good.headers, ...whose } });
    const { admit, claims } = fixture.processor('two');
    const early = aDecision(runId, 'redrive', { tenant: 'bids' });
    expect(await claims.claim(5)).toEqual([]);
    await settle(good);
    expect(await claims.claim(5)).toEqual([]);
    expect(await admit.admit(early)).toEqual({ kind: 'sent_on', answer: 'applied' });
    const [claim] = await claims.claim(5);
    expect(claim!.run).toMatchObject({
      ...{ run_id: runId, request: { reference: 'tender 42', inputRef: 'cnt_input' } },
    });
  });
});

describe('a dead letter', () => {
  it('is the same one when its record is delivered again', async () => {
    const record = aRecord({ value: null });
    await settle(record);
    await settle(record);
    const ids = (await deadLetters()).map(({ id }) => id);
    expect(ids).toHaveLength(2);
    expect(new Set(ids).size).toBe(1);
  });

  it('keeps the run together with its other records, where the key can be read', async () => {
    const record = aRecord({ value: null });
    await settle(record);
    expect((await deadLetters())[0]?.key).toBe(record.key?.toString());
  });

  it('holds nothing of the body', async () => {
    await settle(aRecord({}, { tenant: 7, reference: 'the secret' }));
    await settle(aRecord({ value: Buffer.from('the secret') }));
    const told = JSON.stringify(await deadLetters());
    expect(told).toContain('data_invalid');
    expect(told).not.toContain('secret');
  });
});
