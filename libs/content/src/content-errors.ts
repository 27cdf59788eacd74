/** Everything that can be wrong with a content, by name. None of these is worth a retry with the same input. */

export class ContentNotFoundError extends Error {
  override readonly name = 'ContentNotFoundError';
  readonly code = 'content_not_found';
  constructor(readonly ref: string) {
    super(`this tenant has no content ${ref}`);
  }
}

export class ContentTooLargeError extends Error {
  override readonly name = 'ContentTooLargeError';
  readonly code = 'content_too_large';
  constructor(readonly maxBytes: number) {
    super(`the content has more than the ${maxBytes} bytes allowed; nothing of it was kept`);
  }
}

export class ContentEmptyError extends Error {
  override readonly name = 'ContentEmptyError';
  readonly code = 'content_empty';
  constructor() {
    super('the content has no bytes');
  }
}

/** What is stored is not what was put: bytes were changed or lost beneath us. For support, with the ref. */
export class ContentCorruptError extends Error {
  override readonly name = 'ContentCorruptError';
  readonly code = 'content_corrupt';
  constructor(readonly ref: string) {
    super(`the stored bytes of ${ref} do not match its digest`);
  }
}

/** The upload took so long that it was collected as abandoned. Upload it again. */
export class ContentUploadExpiredError extends Error {
  override readonly name = 'ContentUploadExpiredError';
  readonly code = 'content_upload_expired';
  constructor() {
    super('the upload was not finished in time and has been removed');
  }
}
