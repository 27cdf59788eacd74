/** Reading requests and writing answers in OpenAI's shapes. */
import type { IncomingMessage, ServerResponse } from 'node:http';

export async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

/** OpenAI's error shape; almost every 4xx calls itself `invalid_request_error`. */
export function sendError(
  response: ServerResponse,
  status: number,
  error: { code: string | null; message: string; type?: string; param?: string | null },
): void {
  const type = error.type ?? (status >= 500 ? 'server_error' : 'invalid_request_error');
  const { code, message, param = null } = error;
  sendJson(response, status, { error: { message, type, param, code } });
}
