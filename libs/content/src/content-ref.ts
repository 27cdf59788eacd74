/**
 * What a content is called: by a digest of its tenant and its bytes. The same bytes of one tenant have one
 * name, of two tenants two, so a name tells nobody that somebody else has the same bytes.
 *
 * A content that a caller uploaded as a document is shown under the same digest as `doc_…`.
 */
import { createHash, type Hash } from 'node:crypto';

/** `cnt_` and 43 characters: base64url of SHA-256 over tenant, U+0000, bytes. */
export type ContentRef = string;

/** Names nothing: what a document id that cannot be one refers to. */
const NO_CONTENT: ContentRef = 'cnt_';
const DIGEST = /^[A-Za-z0-9_-]{43}$/;

/** To be fed the content's bytes. A tenant holds no U+0000 (Postgres refuses it), so no two pairs hash alike. */
export function contentHash(tenant: string): Hash {
  return createHash('sha256').update(tenant, 'utf8').update('\0');
}

export function refOf(digest: Uint8Array): ContentRef {
  return `cnt_${Buffer.from(digest).toString('base64url')}`;
}

/** Null for what is no ref: nothing can be stored under it. */
export function digestOf(ref: string): Buffer | null {
  if (!ref.startsWith('cnt_') || !DIGEST.test(ref.slice(4))) return null;
  const digest = Buffer.from(ref.slice(4), 'base64url');
  return refOf(digest) === ref ? digest : null; // 43 characters hold two bits more than the digest: one spelling only
}

/** The id under which callers see an uploaded content. */
export function documentId(ref: ContentRef): string {
  return `doc_${ref.slice('cnt_'.length)}`;
}

/** The other way; for what is no document id a ref under which nothing is ever found. */
export function contentRef(documentId: string): ContentRef {
  return documentId.startsWith('doc_') ? `cnt_${documentId.slice('doc_'.length)}` : NO_CONTENT;
}
