/** Reads `text/event-stream` (https://html.spec.whatwg.org/multipage/server-sent-events.html), as much of it as Holdfast sends. */
export interface StreamedEvent {
  readonly id: string | null;
  readonly data: string;
}

/** The events of one connection. A connection that breaks ends the iteration: the caller comes back with the last id. */
export async function* readEvents(
  url: string,
  lastEventId: string | null,
  signal: AbortSignal,
): AsyncGenerator<StreamedEvent> {
  const headers = {
    accept: 'text/event-stream',
    ...(lastEventId ? { 'last-event-id': lastEventId } : {}),
  };
  const answer = await fetch(url, { headers, signal });
  if (!answer.ok || !answer.body) throw new Error(`${url} was answered with ${answer.status}`);
  let rest = '';
  try {
    for await (const text of answer.body.pipeThrough(new TextDecoderStream())) {
      const blocks = (rest + text).split('\n\n');
      rest = blocks.pop() ?? '';
      for (const block of blocks) {
        const event = parseEvent(block);
        if (event) yield event;
      }
    }
  } catch (error) {
    if ((error as Error).name !== 'TypeError') throw error; // undici's word for a connection that broke
  }
}

/** Undefined for comments (heartbeats) and blocks without data. */
export function parseEvent(block: string): StreamedEvent | undefined {
  let id: string | null = null;
  const data: string[] = [];
  for (const line of block.split('\n')) {
    const [, field, value = ''] = /^([^:]*):? ?(.*)$/.exec(line) ?? [];
    if (field === 'id') id = value;
    if (field === 'data') data.push(value);
  }
  return data.length > 0 ? { id, data: data.join('\n') } : undefined;
}
