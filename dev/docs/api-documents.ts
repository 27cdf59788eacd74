/** `docs/api/`: the schemas of messages and the documents of the API as the api serves them, in the form that the formatter keeps. */
import { format, resolveConfig } from 'prettier';
import { asyncApiDocument } from '../../apps/api/src/describe-api/asyncapi.js';
import {
  allMessages,
  messageSchemaDocument,
  schemaFileName,
} from '../../apps/api/src/describe-api/message-catalogue.js';
import { openApiDocument } from '../../apps/api/src/describe-api/openapi.js';

/** File → what it holds. */
export const apiDocuments: Readonly<Record<string, () => object>> = {
  'docs/api/openapi.json': openApiDocument,
  'docs/api/asyncapi.json': asyncApiDocument,
  ...Object.fromEntries(
    allMessages.map((message) => [
      `docs/api/events/${schemaFileName(message)}`,
      () => messageSchemaDocument(message),
    ]),
  ),
};

export async function jsonPage(path: string, document: object): Promise<string> {
  const style = await resolveConfig(path);
  return format(JSON.stringify(document, null, 2), { ...style, parser: 'json' });
}
