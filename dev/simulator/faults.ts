/**
 * Scripted faults: what a test or the demo asks the simulator to do wrong, and to which requests.
 * The script is data (JSON over `POST /__sim/faults`), so a process of its own can be told the same as one in the same process.
 */
import { seededRandom } from './seeded-random.js';

export type Operation =
  | 'create'
  | 'retrieve'
  | 'cancel'
  | 'create_conversation'
  | 'retrieve_conversation'
  | 'list_items'
  | 'delete_conversation';

export type Fault =
  /** An OpenAI-shaped error; with `body` the bytes are sent as they are instead (a proxy's HTML page). Nothing is charged. */
  | {
      kind: 'status';
      status: number;
      code?: string | null;
      type?: string;
      message?: string;
      headers?: Record<string, string>;
      body?: string;
    }
  /** The work is accepted and charged, then the socket is destroyed: the reply is lost. */
  | { kind: 'reset_after_charge' }
  /** The socket is destroyed before the request is looked at (but for the match). Nothing is charged. */
  | { kind: 'reset_before_read' }
  /** The work is accepted and charged, and the answer comes `ms` later. */
  | { kind: 'hang'; ms: number }
  /** Charged; half of the answer's bytes, then the socket is destroyed. */
  | { kind: 'cut_body' }
  /** Charged; 200 with something that is not JSON. */
  | { kind: 'broken_json' }
  /** The response ends as `failed`. Not charged. */
  | { kind: 'failed'; code: string; message?: string }
  /** The response ends as `incomplete`. Charged. */
  | { kind: 'incomplete'; reason: 'max_output_tokens' | 'content_filter' }
  /** The response completes with a refusal. Charged. */
  | { kind: 'refusal'; text?: string }
  /** The response completes with exactly this text (U+0000 included). Charged. */
  | { kind: 'text'; text: string }
  /** The response says this of its usage: nothing at all, or what cannot be. Charged as ever. */
  | { kind: 'usage'; usage: unknown }
  /** The model works this long instead of the usual time. */
  | { kind: 'latency'; ms: number };

export interface FaultMatch {
  /** Default: `create`. */
  readonly operation?: Operation;
  readonly runId?: string;
  readonly callId?: string;
  readonly model?: string;
  readonly inputIncludes?: string;
  /** 1-based: only from the nth request on that fits the rest. Default 1. */
  readonly nth?: number;
  /** 0 to 1: only so large a part of the requests that fit the rest, drawn by the seed. Default: all. */
  readonly share?: number;
  readonly seed?: number;
}

export interface ScriptedFault {
  readonly match?: FaultMatch;
  readonly fault: Fault;
  /** How many fitting requests are hit, one after the other. Default 1. */
  readonly times?: number | 'always';
}

export interface RequestFacts {
  readonly operation: Operation;
  readonly runId: string | null;
  readonly callId: string | null;
  readonly model: string;
  readonly input: string;
}

/** The script, with what is left of each line. The first line that fits a request decides. */
export class FaultScript {
  #lines: { readonly scripted: ScriptedFault; readonly draw: () => number; seen: number }[] = [];

  add(faults: readonly ScriptedFault[]): void {
    this.#lines.push(
      ...faults.map((scripted) => {
        return { scripted, draw: seededRandom(scripted.match?.seed ?? 0), seen: 0 };
      }),
    );
  }

  clear(): void {
    this.#lines = [];
  }

  take(request: RequestFacts): Fault | null {
    for (const line of this.#lines) {
      if (!fits(line.scripted.match ?? {}, request)) continue;
      if (line.draw() >= (line.scripted.match?.share ?? 1)) continue;
      line.seen += 1;
      const first = line.scripted.match?.nth ?? 1;
      const times = line.scripted.times ?? 1;
      const spent = times !== 'always' && line.seen >= first + times;
      if (line.seen >= first && !spent) return line.scripted.fault;
    }
    return null;
  }
}

function fits(match: FaultMatch, request: RequestFacts): boolean {
  return (
    (match.operation ?? 'create') === request.operation &&
    (match.runId === undefined || match.runId === request.runId) &&
    (match.callId === undefined || match.callId === request.callId) &&
    (match.model === undefined || match.model === request.model) &&
    (match.inputIncludes === undefined || request.input.includes(match.inputIncludes))
  );
}

/** Parses the control route's body; a script with a mistake must fail loudly, or a test passes for the wrong reason. */
export function parseFaultScript(body: unknown): ScriptedFault[] {
  const lines = Array.isArray(body) ? (body as unknown[]) : [body];
  return lines.map((line, index) => {
    const fault = (line as { fault?: { kind?: unknown } } | null)?.fault;
    if (typeof fault?.kind !== 'string' || !(faultKinds as readonly string[]).includes(fault.kind))
      throw new FaultScriptError(
        `line ${index}: fault.kind must be one of ${faultKinds.join(', ')}`,
      );
    return line as ScriptedFault;
  });
}

export class FaultScriptError extends Error {
  readonly code = 'fault_script_invalid';
}

const faultKinds = [
  'status',
  'reset_after_charge',
  'reset_before_read',
  'hang',
  'cut_body',
  'broken_json',
  'failed',
  'incomplete',
  'refusal',
  'text',
  'usage',
  'latency',
] as const satisfies readonly Fault['kind'][];
