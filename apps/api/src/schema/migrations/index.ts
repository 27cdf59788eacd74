import { CreateRuns1764000000000 } from './1764000000000-create-runs.js';
import { CommentTables1795493800000 } from './1795493800000-comment-tables.js';
import { AddDecisions1795493900000 } from './1795493900000-add-decisions.js';
import { ExpireRuns1795493910000 } from './1795493910000-expire-runs.js';
import { NoteSilence1795643200000 } from './1795643200000-note-silence.js';
import { KnowSpend1795700410000 } from './1795700410000-know-spend.js';
import { TellKeysFromLists1795701000000 } from './1795701000000-tell-keys-from-lists.js';
import { SettleSpend1795730100000 } from './1795730100000-settle-spend.js';

/** For `migrate({ schema: 'api', migrations: apiMigrations })`, oldest first. */
export const apiMigrations = [
  CreateRuns1764000000000,
  CommentTables1795493800000,
  AddDecisions1795493900000,
  ExpireRuns1795493910000,
  NoteSilence1795643200000,
  KnowSpend1795700410000,
  TellKeysFromLists1795701000000,
  SettleSpend1795730100000,
];
