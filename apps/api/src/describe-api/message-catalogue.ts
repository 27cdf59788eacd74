/** Every message that Holdfast puts on Kafka: its name, its `ce_type`, its class, and what it says. */
import {
  CANCEL_RUN,
  CancelRun,
  decisionCommandClassOf,
  decisionTypeOf,
  DISPATCH_REFUSED,
  DispatchRefused,
  opsEventClassOf,
  opsEventNames,
  opsTypeOf,
  REQUEST_RUN,
  RequestRun,
  RUN_COMMAND_REFUSED,
  RUN_REQUESTED,
  RUN_SPEND_SETTLED,
  RunCommandRefused,
  runEventClassOf,
  runEventNames,
  RunRequested,
  RunSpendSettled,
  wireTypeOf,
  type OpsEventName,
  type RunEventName,
} from '#libs/contracts';
import { decisionNames, type DecisionName } from '#libs/domain';
import { schemasOf, type ContractClass, type JsonSchema } from './class-schema.js';
import { ownRules } from './own-rules.js';

export interface DescribedMessage {
  readonly name: string;
  /** `ce_type` */
  readonly wireType: string;
  readonly contract: ContractClass;
  readonly meaning: string;
}

const eventMeanings: Readonly<Record<RunEventName, string>> = {
  RunQueued: 'The run has to wait for a worker.',
  RunWaiting:
    'The run is queued, keeps its place, and nobody takes it up for now: an outage, a full lane, a pause. It goes on by itself.',
  RunStarted: 'A processor works on the run.',
  RunProgressed: 'Measured progress, at most once a second per run.',
  RunRetryScheduled: 'The run is not running now; it will be tried again at `nextAttemptAt`.',
  RunNeedsReview: 'Holdfast stopped on purpose; a person decides.',
  RunCompleted: 'The result is stored. The one event that may hold model output.',
  RunFailed: 'The run will not be tried again.',
  RunCancelled: 'The run was stopped on request. What was spent until then is in `usage`.',
  RunDecisionApplied:
    "A person's decision was carried out. Comes right before the event of what it did.",
  RunDecisionRefused: "A person's decision was not carried out: it changes nothing.",
};

/** Facts about runs, on the events topic. */
export const eventMessages: readonly DescribedMessage[] = runEventNames.map((name) => ({
  name,
  wireType: wireTypeOf(name),
  contract: runEventClassOf(name),
  meaning: eventMeanings[name],
}));

/** On the events topic, too, but not one of a run's numbered events. */
export const spendSettled: DescribedMessage = {
  name: 'RunSpendSettled',
  wireType: RUN_SPEND_SETTLED,
  contract: RunSpendSettled,
  meaning:
    'What was uncertain of a run’s spend when it stopped or ended has become known: the whole of it, anew. The run is where it was; this has no `version`, and may follow its end.',
};

const opsMeanings: Readonly<Record<OpsEventName, string>> = {
  GatewayLatched:
    'No new call leaves for this account or model until it is released. Its runs wait and lose nothing. Page somebody: it may not pass by itself.',
  GatewayReleased: 'Calls leave again, the first of them alone.',
};

/** Facts about the system, on a topic of their own. */
export const opsMessages: readonly DescribedMessage[] = opsEventNames.map((name) => ({
  name,
  wireType: opsTypeOf(name),
  contract: opsEventClassOf(name),
  meaning: opsMeanings[name],
}));

/** On the work topics. */
export const runRequested: DescribedMessage = {
  name: 'RunRequested',
  wireType: RUN_REQUESTED,
  contract: RunRequested,
  meaning: 'Asks the processor to carry a run. Holds references, no content.',
};

const decisionMeanings: Readonly<Record<DecisionName, string>> = {
  cancel: 'Stop the run, wherever it stands.',
  redrive: 'Send the run on that needs review: the cause is mended.',
  discard: 'Give the run up that needs review.',
  complete: 'Take this result, made by hand, for the run that needs review.',
};

/** On the work topic, behind the request of the run that they are about. */
export const decisionMessages: readonly DescribedMessage[] = decisionNames.map((decision) => {
  const contract = decisionCommandClassOf(decision);
  const meaning = decisionMeanings[decision];
  return { name: contract.name, wireType: decisionTypeOf(decision), contract, meaning };
});

/** On the dead-letter topic of the work topics. */
export const dispatchRefused: DescribedMessage = {
  name: 'DispatchRefused',
  wireType: DISPATCH_REFUSED,
  contract: DispatchRefused,
  meaning: 'A record of a work topic could not be dispatched. Says why and where; holds no body.',
};

/** From services that would rather send a message than a request. */
export const commandMessages: readonly DescribedMessage[] = [
  {
    name: 'RequestRun',
    wireType: REQUEST_RUN,
    contract: RequestRun,
    meaning:
      'Ask for a run: the body of `POST /v1/runs`, and its idempotency key. The same key over HTTP and Kafka makes one run.',
  },
  {
    name: 'CancelRun',
    wireType: CANCEL_RUN,
    contract: CancelRun,
    meaning: 'Stop the run that was asked for under this key.',
  },
];

export const commandRefused: DescribedMessage = {
  name: 'RunCommandRefused',
  wireType: RUN_COMMAND_REFUSED,
  contract: RunCommandRefused,
  meaning: 'A command was refused: nothing was done. Says why and where; holds no body.',
};

export const allMessages: readonly DescribedMessage[] = [
  ...commandMessages,
  commandRefused,
  ...eventMessages,
  spendSettled,
  ...opsMessages,
  runRequested,
  ...decisionMessages,
  dispatchRefused,
];

/** The data of a message as a JSON Schema document that stands alone. Unknown fields are allowed: consumers ignore them. */
export function messageSchemaDocument({ name, wireType, contract, meaning }: DescribedMessage) {
  const { [contract.name]: own, ...parts } = schemasOf([contract], {
    refPrefix: '#/$defs/',
    ownRules,
  });
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $id: `urn:holdfast:schema:${wireType}`,
    title: name,
    description: meaning,
    ...own,
    ...(Object.keys(parts).length > 0 && { $defs: parts }),
  } satisfies JsonSchema;
}

/** `dev.holdfast.run.completed.v1` → `run.completed.v1.schema.json` */
export function schemaFileName({ wireType }: DescribedMessage): string {
  return `${wireType.replace(/^dev\.holdfast\./, '')}.schema.json`;
}
