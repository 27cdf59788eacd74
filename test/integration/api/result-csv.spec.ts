/** Real: api, Postgres, content store. Stands in: the processor, whose events the spec writes. */
import { randomUUID } from 'node:crypto';
import { ContentStore } from '#libs/content';
import type { ProblemBody, RunView } from '#libs/contracts';
import type { MatrixRow } from '#libs/workflows';
import { ProjectRuns } from '../../../apps/api/src/project-runs/project-runs.js';
import { startTestApi, type TestApi } from './api-fixture.js';
import { eventMessage, received, storyOf } from './run-story.js';

let api: TestApi;
beforeAll(async () => {
  api = await startTestApi();
});
afterAll(() => api?.stop());

const rows: MatrixRow[] = [
  matrixRow({ number: 'R-001', text: 'Deliver by May, at the latest.' }),
  matrixRow({
    number: 'R-002',
    text: '=HYPERLINK("http://evil.example","Click")',
    section: { number: null, title: '-Annex', path: [] },
    quote: 'The supplier "must"\r\ndeliver.\u0000',
    quoteVerified: false,
    confidence: 'low',
  }),
];
const csv = [
  'number,section,requirement,obligation,category,quote,verified,confidence\r\n',
  'R-001,3.2 Delivery,"Deliver by May, at the latest.",shall,delivery,The supplier shall deliver.,yes,high\r\n',
  'R-002,\'-Annex,"\'=HYPERLINK(""http://evil.example"",""Click"")",shall,delivery,',
  '"The supplier ""must""\r\ndeliver.\ufffd",no,low\r\n',
].join('');

describe('the matrix of a tender', () => {
  it.each([
    ['small enough to come with its event', false],
    ['large, in the content store', true],
  ])('is a table for a spreadsheet: %s', async (_, isLarge) => {
    const id = await completedTender(isLarge);
    const answer = await result(id, 'text/csv').expect(200);
    expect(answer.headers['content-type']).toMatch(/^text\/csv; charset=utf-8/);
    expect(answer.headers['content-disposition']).toBe(
      `attachment; filename="Lieferung fur Koln compliance matrix.csv"; filename*=UTF-8''Lieferung%20f%C3%BCr%20K%C3%B6ln%20compliance%20matrix.csv`,
    );
    expect(answer.headers['vary']).toBe('Accept');
    expect(answer.text).toBe(csv);
  });

  it('is JSON to whoever does not prefer CSV', async () => {
    const id = await completedTender(false);
    for (const accept of ['*/*', 'application/json', 'text/csv;q=0.5, application/json']) {
      const answer = await result(id, accept).expect(200);
      expect(answer.headers['content-type']).toMatch(/^application\/json/);
      expect(answer.body).toMatchObject({ requirements: rows });
    }
  });

  it('is 409 as CSV too while it is not there', async () => {
    const { id } = await acceptedTender();
    await result(id, 'text/csv').expect(409);
  });
});

describe('a result that is not offered as asked', () => {
  it('is 406 for a workflow that has no table, and says what there is', async () => {
    const answer = await api
      .http()
      .post('/v1/runs')
      .set('Idempotency-Key', randomUUID())
      .send({ workflow: 'answer', input: { question: 'Why?' } })
      .expect(202);
    const { id } = answer.body as RunView;
    await tell(storyOf(id.slice('run_'.length)));
    const refused = await result(id, 'text/csv').expect(406);
    expect(refused.headers['content-type']).toMatch(/^application\/problem\+json/);
    expect(refused.body as ProblemBody).toMatchObject({
      code: 'not_acceptable',
      detail: 'The result of answer comes as application/json.',
      errors: [{ header: 'Accept' }],
    });
  });

  it('is 406 for a type that nothing comes as', async () => {
    const id = await completedTender(false);
    const refused = await result(id, 'application/pdf').expect(406);
    expect((refused.body as ProblemBody).detail).toContain('application/json or text/csv');
  });
});

function result(id: string, accept: string) {
  return api.http().get(`/v1/runs/${id}/result`).set('Accept', accept);
}

async function acceptedTender(): Promise<{ id: string; uuid: string }> {
  const document = await api
    .http()
    .post('/v1/documents')
    .attach('file', Buffer.from('# Tender\n\nThe supplier shall deliver.\n'), 'tender.md');
  const answer = await api
    .http()
    .post('/v1/runs')
    .set('Idempotency-Key', randomUUID())
    .send({
      workflow: 'tender-compliance',
      input: {},
      documents: [(document.body as { id: string }).id],
    })
    .expect(202);
  const { id } = answer.body as RunView;
  return { id, uuid: id.slice('run_'.length) };
}

async function completedTender(isLarge: boolean): Promise<string> {
  const { id, uuid } = await acceptedTender();
  const matrix = {
    document: { id: 'doc_x', fileName: 'Lieferung für Köln.md', sections: 1, words: 5 },
    requirements: rows,
  };
  const bytes = Buffer.from(JSON.stringify(matrix));
  const contents = api.app.get(ContentStore);
  const { ref } = await contents.put('default', bytes, { mediaType: 'application/json' });
  const usage = {
    calls: 1,
    inputTokens: 1,
    cachedInputTokens: 0,
    outputTokens: 1,
    reasoningTokens: 0,
  };
  const event = eventMessage(uuid, 'RunCompleted', {
    workflow: 'tender-compliance',
    version: 1,
    status: 'completed',
    occurredAt: new Date().toISOString(),
    resultRef: ref,
    usage,
    durationMs: 1,
    ...(!isLarge && { result: matrix }),
  });
  await tell([event]);
  return id;
}

async function tell(messages: ReturnType<typeof storyOf>): Promise<void> {
  for (const message of messages) await api.app.get(ProjectRuns).take(received(message));
}

function matrixRow(fields: Partial<MatrixRow>): MatrixRow {
  return {
    number: 'R-001',
    text: 'Deliver.',
    obligation: 'shall',
    category: 'delivery',
    section: { number: '3.2', title: 'Delivery', path: ['Scope'] },
    alsoIn: [],
    quote: 'The supplier shall deliver.',
    quoteVerified: true,
    sourceOffset: 10,
    confidence: 'high',
    ...fields,
  };
}
