/** Inputs, documents and results by content: written once, read by name, per tenant. */
export {
  type ContentMeta,
  ContentStore,
  type ContentStoreOptions,
  type NeededUntil,
  type StoredContent,
} from './content-store.js';
export { type ContentRef, contentRef, documentId } from './content-ref.js';
export {
  ContentCorruptError,
  ContentEmptyError,
  ContentNotFoundError,
  ContentTooLargeError,
  ContentUploadExpiredError,
} from './content-errors.js';
import { CreateContent1764000000000 } from './migrations/1764000000000-create-content.js';
import { CommentTables1795493802000 } from './migrations/1795493802000-comment-tables.js';
import { LetGoOfContents1795493900000 } from './migrations/1795493900000-let-go-of-contents.js';
import { SmallContentsInOneRow1795600000000 } from './migrations/1795600000000-small-contents-in-one-row.js';

/** For `migrate({ schema: 'content', migrations: contentMigrations })`. */
export const contentMigrations = [
  CreateContent1764000000000,
  CommentTables1795493802000,
  LetGoOfContents1795493900000,
  SmallContentsInOneRow1795600000000,
];
