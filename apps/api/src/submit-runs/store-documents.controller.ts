import { Controller, Inject, Post, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { DocumentView } from '#libs/contracts';
import {
  ContentEmptyError,
  ContentTooLargeError,
  ContentUploadExpiredError,
  documentId,
} from '#libs/content';
import { API_SETTINGS, type ApiSettings } from '../settings.js';
import { ProblemError } from '../problem-error.js';
import { tenantOf } from '../tenant.js';
import { DocumentsStore } from './documents.store.js';
import { documentTooLarge, readUpload, type Upload } from './read-upload.js';

/** `POST /v1/documents`: one file, streamed into the content store, where the same bytes are kept once per tenant. */
@Controller('v1/documents')
export class StoreDocumentsController {
  constructor(
    private readonly documents: DocumentsStore,
    @Inject(API_SETTINGS) private readonly settings: ApiSettings,
  ) {}

  /** 201 for a new document, 200 for one that was there before. */
  @Post()
  async upload(
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<DocumentView> {
    const tenant = tenantOf(request);
    const document = await readUpload(request, this.settings.maxDocumentBytes, (upload) =>
      this.store(tenant, upload),
    );
    void reply.code(document.alreadyStored ? 200 : 201);
    return document;
  }

  private async store(tenant: string, upload: Upload): Promise<DocumentView> {
    const maxBytes = this.settings.maxDocumentBytes;
    try {
      const { content, alreadyStored } = await this.documents.put(tenant, upload, maxBytes);
      const { ref, fileName, mediaType, sizeBytes } = content;
      return { id: documentId(ref), fileName, mediaType, sizeBytes, alreadyStored };
    } catch (error) {
      if (error instanceof ContentTooLargeError) throw documentTooLarge(maxBytes);
      if (error instanceof ContentEmptyError) throw emptyDocument();
      if (error instanceof ContentUploadExpiredError) {
        throw new ProblemError('request_timeout', 'The upload took too long.', { cause: error });
      }
      throw error;
    }
  }
}

function emptyDocument(): ProblemError {
  const mend = 'Send a file that has something in it.';
  return new ProblemError('empty_document', 'The document has no bytes.', {
    errors: [{ pointer: '/file', message: 'is empty', mend }],
  });
}
