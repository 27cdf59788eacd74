/** An account with OpenAI, or with whoever else has the Responses API under his own address. */
export interface AccountOptions {
  /** `default` where there is one only. */
  readonly name: string;
  /** With `/v1`. Pinned: what the SDK would read from the environment is not looked at. */
  readonly baseUrl: string;
  readonly apiKey: string;
  /** What its endpoint lacks. Default: nothing. Without background mode every call goes in the foreground. */
  readonly lacks?: readonly Capability[];
}

export const capabilities = ['background', 'webhooks', 'conversations'] as const;
export type Capability = (typeof capabilities)[number];

export const DEFAULT_ACCOUNT = 'default';
