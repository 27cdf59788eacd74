/** The anchors of one call, with the account that it goes with: one is taken for a sending, and removed once nobody asks it any more. */
import type { Account } from '../accounts/accounts.js';
import type { ModelCallRequest } from '../model-call.js';

export class CallAnchors {
  /** One that was taken and has not been used. */
  #spare: string | null = null;

  constructor(
    private readonly callId: string,
    private account: Account,
  ) {}

  /** From now on it belongs to the sending that it is taken for. null: that one goes without. */
  async take(call: Pick<ModelCallRequest, 'mode' | 'anchor'>): Promise<string | null> {
    const spare = this.#spare;
    this.#spare = null;
    return spare ?? this.account.anchors?.take(call) ?? null;
  }

  /** It was not sent on after all: the next sending takes it. */
  keep(anchor: string | null): void {
    this.#spare = anchor;
  }

  /** Nothing is sent on it any more, and nobody will ask it. */
  remove(anchor: string | null): void {
    if (anchor !== null) this.account.anchors?.remove({ callId: this.callId, anchor });
  }

  /** One of the account before means nothing there. */
  goWith(account: Account): void {
    if (account !== this.account) this.giveBack();
    this.account = account;
  }

  giveBack(): void {
    if (this.#spare !== null) this.account.anchors?.giveBack(this.#spare);
    this.#spare = null;
  }
}
