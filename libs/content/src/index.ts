/** Inputs, documents and results by content: written once, read by name, per tenant. */
export { type ContentMeta, ContentStore, type StoredContent } from './content-store.js';
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

/** For `migrate({ schema: 'content', migrations: contentMigrations })`. */
export const contentMigrations = [CreateContent1764000000000, CommentTables1795493802000];
