/** Holds a record as it lies on a topic against `asyncapi.json`: its topic, its type, its headers, its data. */
import { asyncApiDocument } from '../../apps/api/src/describe-api/asyncapi.js';
import { DocumentSchemas } from './document-schemas.js';

export interface PublishedRecord {
  /** Logical name. */
  readonly topic: string;
  readonly key: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly data: unknown;
}

const document = asyncApiDocument();
const schemas = new DocumentSchemas(document);

/** The described message that the record claims to be, as `channel/message`; undefined where no such message is described. */
export function describedAs(record: PublishedRecord): string | undefined {
  const channel = Object.entries(document.channels).find(
    ([, { address }]) => address === record.topic,
  );
  if (!channel) return undefined;
  const [name, { messages }] = channel;
  const id = Object.keys(messages).find(
    (each) => document.components.messages[each]?.name === record.headers['ce_type'],
  );
  return id === undefined ? undefined : `${name}/${id}`;
}

/** What differs from the description; nothing: it is as described. */
export function messageProblems(record: PublishedRecord): string[] {
  const [, id] = describedAs(record)?.split('/') ?? [];
  const message = document.components.messages[id ?? ''];
  if (id === undefined || !message) {
    return [`${record.topic}: ${record.headers['ce_type']} is not described there`];
  }
  const isKeyed = record.key === record.headers['ce_partitionkey'];
  return [
    ...(isKeyed ? [] : ['the key is not ce_partitionkey']),
    ...schemas.problems(`/components/messages/${id}/headers`, record.headers),
    ...schemas.problems(message.payload.$ref.slice(1), record.data),
  ];
}
