/** The front door of the OpenAI gateway: one call goes in, one outcome comes out, and it is paid for once. */
export type {
  CallFailure,
  CallOwner,
  CompletedCall,
  ModelCallOutcome,
  ModelCallRequest,
  ModelOutput,
  Usage,
} from './model-call.js';
