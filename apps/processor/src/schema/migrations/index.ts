import { gatewayMigrations } from '#libs/openai-gateway';
import { CreateExecutions1764000200000 } from './1764000200000-create-executions.js';
import { CommentTables1795493801000 } from './1795493801000-comment-tables.js';
import { ExpireExecutions1795493920000 } from './1795493920000-expire-executions.js';
import { IndexReviews1795493960000 } from './1795493960000-index-reviews.js';
import { CreateDecisions1795494200000 } from './1795494200000-create-decisions.js';
import { DropReferences1795600100000 } from './1795600100000-drop-references.js';
import { CreateEffects1795640100000 } from './1795640100000-create-effects.js';
import { RememberNewestEvent1795643100000 } from './1795643100000-remember-newest-event.js';
import { CreateWebhooks1795646100000 } from './1795646100000-create-webhooks.js';
import { ParkRuns1795700210000 } from './1795700210000-park-runs.js';
import { KnowWebhookAccounts1795700510000 } from './1795700510000-know-webhook-accounts.js';
import { CreateUnsettledRuns1795730200000 } from './1795730200000-create-unsettled-runs.js';

/** For `migrate({ schema: 'processor', migrations: processorMigrations })`: the gateway keeps its ledger beside our tables. */
export const processorMigrations = [
  ...gatewayMigrations,
  CreateExecutions1764000200000,
  CommentTables1795493801000,
  ExpireExecutions1795493920000,
  IndexReviews1795493960000,
  CreateDecisions1795494200000,
  DropReferences1795600100000,
  CreateEffects1795640100000,
  RememberNewestEvent1795643100000,
  CreateWebhooks1795646100000,
  ParkRuns1795700210000,
  KnowWebhookAccounts1795700510000,
  CreateUnsettledRuns1795730200000,
];
