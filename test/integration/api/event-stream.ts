/** Reads `text/event-stream` as a browser's EventSource does, frame by frame. */
export interface Frame {
  readonly id: string | undefined;
  readonly event: string | undefined;
  readonly data: string;
}

export interface OpenStream {
  readonly status: number;
  readonly contentType: string;
  /** Ends with the stream. */
  readonly frames: AsyncIterable<Frame>;
  close(): void;
}

export async function openStream(url: string, lastEventId?: string): Promise<OpenStream> {
  const closing = new AbortController();
  const answer = await fetch(url, {
    headers: {
      Accept: 'text/event-stream',
      ...(lastEventId !== undefined && { 'Last-Event-ID': lastEventId }),
    },
    signal: closing.signal,
  });
  return {
    status: answer.status,
    contentType: answer.headers.get('content-type') ?? '',
    frames: framesOf(answer),
    close: () => closing.abort(),
  };
}

/** All events until the stream ends, or the first `count`. */
export async function take(stream: OpenStream, count = Infinity): Promise<Frame[]> {
  const frames: Frame[] = [];
  for await (const frame of stream.frames) {
    frames.push(frame);
    if (frames.length === count) break;
  }
  stream.close();
  return frames;
}

async function* framesOf(answer: Response): AsyncGenerator<Frame> {
  let text = '';
  for await (const chunk of answer.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += chunk;
    const blocks = text.split('\n\n');
    text = blocks.pop() ?? '';
    yield* blocks.map(frameOf).filter((frame) => frame.data !== '');
  }
}

function frameOf(block: string): Frame {
  const fields = new Map(
    block.split('\n').map((line) => {
      const colon = line.indexOf(': ');
      return [line.slice(0, colon), line.slice(colon + 2)] as const;
    }),
  );
  return { id: fields.get('id'), event: fields.get('event'), data: fields.get('data') ?? '' };
}
