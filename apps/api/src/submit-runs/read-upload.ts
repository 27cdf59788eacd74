/** Reads `POST /v1/documents`: multipart/form-data with exactly one file, handed on as a stream. */
import type { Multipart, MultipartFile } from '@fastify/multipart';
import type { FastifyRequest } from 'fastify';
import { ProblemError } from '../problem-error.js';

export interface Upload {
  readonly fileName: string | null;
  readonly mediaType: string;
  readonly bytes: AsyncIterable<Uint8Array>;
}

type Parts = AsyncGenerator<Multipart, undefined>;

/** What a file's name says where the sender does not know its type (curl and browsers: application/octet-stream). */
const mediaTypeByExtension: Readonly<Record<string, string>> = {
  md: 'text/markdown',
  markdown: 'text/markdown',
  txt: 'text/plain',
  json: 'application/json',
};

const MEDIA_TYPE = /^[a-z0-9][a-z0-9!#$&^_.+-]{0,126}\/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}$/;
const MAX_FILE_NAME = 255;
/** A multipart frame around one file: boundaries and part headers. */
const FRAME_BYTES = 16_384;

/** The one file of an upload, run through `store` while it streams in. */
export async function readUpload<T>(
  request: FastifyRequest,
  maxBytes: number,
  store: (upload: Upload) => Promise<T>,
): Promise<T> {
  if (!request.isMultipart()) throw notMultipart();
  if (Number(request.headers['content-length'] ?? 0) > maxBytes + FRAME_BYTES) {
    throw documentTooLarge(maxBytes);
  }
  const limits = { fileSize: maxBytes + 1, files: 2, fields: 10, parts: 12 };
  const parts = partsOf(request, limits);
  try {
    const { value: file } = await parts.next();
    if (file?.type !== 'file') throw notOneFile(file ? `the field "${file.fieldname}"` : 'no file');
    return await store(uploadOf(file, parts));
  } finally {
    request.raw.resume(); // the rest of the body is read and dropped, so that the sender gets to see the answer
  }
}

/** What multipart itself finds wrong is the sender's to mend; what `store` throws is not. */
async function* partsOf(
  request: FastifyRequest,
  limits: object,
): AsyncGenerator<Multipart, undefined> {
  try {
    yield* request.parts({ limits });
  } catch (cause) {
    throw notReadable(cause);
  }
  return undefined;
}

/** The file's bytes. A part after them fails the stream before its end, so that nothing of such an upload is kept. */
async function* bytesOf(file: MultipartFile, parts: Parts): AsyncGenerator<Uint8Array> {
  try {
    yield* file.file as AsyncIterable<Uint8Array>;
  } catch (cause) {
    throw notReadable(cause);
  }
  const { value: next } = await parts.next();
  if (next) throw notOneFile(`a second part, "${next.fieldname}"`);
}

export function documentTooLarge(maxBytes: number): ProblemError {
  const detail = `A document may have at most ${maxBytes} bytes.`;
  const mend = 'Split the document, or send less of it.';
  return new ProblemError('document_too_large', detail, {
    errors: [{ pointer: '/file', message: 'is too large', mend }],
  });
}

function uploadOf(file: MultipartFile, parts: Parts): Upload {
  const fileName = fileNameOf(file.filename);
  const mediaType = mediaTypeOf(file.mimetype, fileName);
  const bytes = bytesOf(file, parts);
  return { fileName, mediaType, bytes: mediaType.startsWith('text/') ? utf8Only(bytes) : bytes };
}

/** The last part of a path, without what no name should have; null where nothing is left. */
function fileNameOf(name: string | undefined): string | null {
  const last = (name ?? '').split(/[/\\]/).at(-1) ?? '';
  return (
    last
      .replace(/\p{Cc}/gu, '')
      .trim()
      .slice(0, MAX_FILE_NAME)
      .toWellFormed() || null
  );
}

function mediaTypeOf(contentType: string | undefined, fileName: string | null): string {
  const mediaType = (contentType ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
  const isUnknown = mediaType === '' || mediaType === 'application/octet-stream';
  if (!isUnknown && MEDIA_TYPE.test(mediaType)) return mediaType;
  const extension = fileName?.split('.').at(-1)?.toLowerCase() ?? '';
  return mediaTypeByExtension[extension] ?? 'application/octet-stream';
}

/** Text must be text: a workflow would read broken bytes as replacement characters, and quotes would not match. */
async function* utf8Only(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  const decode = (chunk?: Uint8Array) => {
    try {
      decoder.decode(chunk, { stream: chunk !== undefined });
    } catch (cause) {
      throw notText(cause);
    }
  };
  for await (const chunk of bytes) {
    decode(chunk);
    yield chunk;
  }
  decode();
}

function notText(cause: unknown): ProblemError {
  const detail = 'The document says that it is text, but its bytes are not UTF-8.';
  const mend = 'Save it as UTF-8, or send its true media type.';
  return new ProblemError('document_not_text', detail, {
    errors: [{ pointer: '/file', message: 'is not UTF-8', mend }],
    cause,
  });
}

function notMultipart(): ProblemError {
  const mend = 'Send multipart/form-data with one file, as curl -F file=@tender.md does.';
  return new ProblemError('unsupported_media_type', 'Documents are sent as multipart/form-data.', {
    errors: [{ header: 'Content-Type', message: 'is not multipart/form-data', mend }],
  });
}

function notReadable(cause: unknown): ProblemError {
  const mend = 'Send a whole multipart/form-data body, its boundary named in Content-Type.';
  return new ProblemError('invalid_upload', 'The upload is not a whole multipart body.', {
    errors: [{ header: 'Content-Type', message: 'does not fit the body', mend }],
    cause,
  });
}

function notOneFile(found: string): ProblemError {
  const mend = 'Send one file, and nothing else, per upload.';
  return new ProblemError('invalid_upload', `The upload has ${found}; it takes exactly one file.`, {
    errors: [{ pointer: '/file', message: 'must be the one part', mend }],
  });
}
