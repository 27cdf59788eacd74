import type { ContentStore, StoredContent } from '#libs/content';
import { statement, type Database } from '#libs/postgres';
import type { Upload } from './read-upload.js';

/** Documents are contents that a caller uploaded. */
export class DocumentsStore {
  constructor(
    private readonly contents: ContentStore,
    private readonly contentDatabase: Database,
  ) {}

  /** `alreadyStored`: the same bytes were there before this upload began, by the clock of the store itself. */
  async put(
    tenant: string,
    { bytes, mediaType, fileName }: Upload,
    maxBytes: number,
  ): Promise<{ readonly content: StoredContent; readonly alreadyStored: boolean }> {
    const began = await this.contentDatabase.query<{ now: Date }>(NOW);
    const meta = fileName === null ? { mediaType } : { mediaType, fileName };
    const content = await this.contents.putStream(tenant, bytes, meta, { maxBytes });
    const startedAt = began.rows[0]?.now;
    return { content, alreadyStored: startedAt !== undefined && content.createdAt < startedAt };
  }
}

const NOW = statement('api.documents.now', 'SELECT clock_timestamp() AS now');
