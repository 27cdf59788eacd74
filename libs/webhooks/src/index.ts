/** Front door: one signed message to one receiver, over a connection to an address that was looked at; and what its reply means. */
export {
  classifyDeadSender,
  classifyNoRoute,
  classifyReply,
  type DeliveryEnd,
  type DeliveryFailure,
} from './classify-reply.js';
export type { Lookup } from './find-addresses.js';
export { isSigningSecret } from './sign-delivery.js';
export {
  WebhookSender,
  type Delivery,
  type Route,
  type WebhookReply,
  type WebhookTarget,
  type WebhookTiming,
} from './webhook-sender.js';
