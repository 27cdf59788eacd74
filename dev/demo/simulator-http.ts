/** The simulator's own control routes: what the demo asks it to do wrong, and what it has counted. */
export class SimulatorHttp {
  constructor(
    private readonly url: string,
    private readonly signal: AbortSignal,
  ) {}

  /**
   * The nth model call from now on is answered with 429; longer than a run waits in place, so it is shown as retrying. Not as
   * `rate_limit_exceeded`: that would hold the other runs, too.
   */
  async throttleOneCall(nth: number): Promise<void> {
    const fault = {
      kind: 'status',
      status: 429,
      code: 'slow_down',
      type: 'requests',
      message: 'Please slow down, and try again in 8s.',
      headers: { 'retry-after': '8' },
    };
    await this.send('/__sim/faults', { method: 'DELETE' });
    await this.send('/__sim/faults', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify([{ match: { operation: 'create', nth }, fault, times: 1 }]),
    });
  }

  /** How often each model call of these runs was charged. */
  async chargesByCall(runIds: readonly string[]): Promise<number[]> {
    const answer = await this.send('/__sim/charges');
    const { charges } = (await answer.json()) as {
      charges: readonly { readonly callId: string | null; readonly runId: string | null }[];
    };
    const counts = new Map<string, number>();
    for (const { callId, runId } of charges)
      if (callId !== null && runId !== null && runIds.some((id) => id.endsWith(runId)))
        counts.set(callId, (counts.get(callId) ?? 0) + 1);
    return [...counts.values()];
  }

  private async send(path: string, init: RequestInit = {}): Promise<Response> {
    const answer = await fetch(this.url + path, { ...init, signal: this.signal });
    if (!answer.ok)
      throw new Error(`${path} was answered with ${answer.status}: ${await answer.text()}`);
    return answer;
  }
}
