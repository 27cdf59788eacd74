/** Real: Postgres, Kafka, processes. Stands in: nothing. */
import pg from 'pg';
import { untilKafkaAnswers } from '../../../dev/stack/kafka-readiness.js';
import { freshDatabase, freshTopicPrefix, kafkaBrokers } from '../../support/stack.js';

describe('what every spec file may count on', () => {
  it('a database of its own', async () => {
    const [one, other] = await Promise.all([freshDatabase(), freshDatabase()]);
    expect(one.name).not.toBe(other.name);
    await Promise.all([one.drop(), other.drop()]);
  });

  it('a database that can be dropped while somebody is still connected', async () => {
    const database = await freshDatabase();
    const client = new pg.Client({ connectionString: database.url });
    const cut = new Promise((resolve) => client.on('error', resolve));
    await client.connect();
    await database.drop();
    await cut;
  });

  it('a broker whose group coordinator answers', async () => {
    const port = Number(kafkaBrokers()[0]?.split(':')[1]);
    await untilKafkaAnswers(port, AbortSignal.timeout(5_000));
  });

  it('a topic prefix of its own', () => {
    expect(freshTopicPrefix()).toMatch(/^t[0-9a-f]{10}\.$/);
    expect(freshTopicPrefix()).not.toBe(freshTopicPrefix());
  });
});
