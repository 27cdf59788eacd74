/**
 * Records that were good once (dev/docs/recorded-messages.json), most of them about an action of their own, and then changed in up to
 * three places: in what they hold, in their headers, key, value, type and time.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import type { IHeaders } from 'kafkajs';
import { repositoryRoot } from '../../dev/stack/repository.js';
import {
  hugeJson,
  oddBytes,
  oddJson,
  oddText,
  oddTimes,
  pathsOf,
  withOddities,
  type OddPlace,
} from './odd-values.js';

export interface FuzzRecord {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: IHeaders;
}

interface Recorded {
  readonly topic: string;
  readonly key: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly data: object;
}

const recorded = JSON.parse(
  readFileSync(join(repositoryRoot, 'dev/docs/recorded-messages.json'), 'utf8'),
) as readonly Recorded[];

/** Records that somebody might write to a topic, made of the messages that were recorded on `like`. */
export function mutatedRecords(like: string): fc.Arbitrary<FuzzRecord> {
  const templates = recorded.filter(({ topic }) => topic === like);
  // Few are about one action: records of one key wait for each other.
  const isOwn = fc.integer({ min: 0, max: 9 }).map((drawn) => drawn > 0);
  const names = fc.tuple(fc.uuid({ version: 7 }), isOwn);
  const mutations = fc.array(anyMutation, { minLength: 1, maxLength: 3 });
  return fc
    .tuple(fc.constantFrom(...templates), names, mutations)
    .map(([template, [id, isOwn], changes]) => {
      const draft = draftOf(isOwn ? renewed(template, id) : template);
      return recordOf(changes.reduce((changed, change) => change(changed), draft));
    });
}

/** The same about another action. */
function renewed(template: Recorded, id: string): Recorded {
  const text = JSON.stringify({ ...template, headers: { ...template.headers, ce_id: id } });
  const aboutAnother = text.replaceAll(/(run|dec)_[0-9a-f-]{36}/g, `$1_${id}`);
  return JSON.parse(aboutAnother.replaceAll('order-1', `order-${id}`)) as Recorded;
}

interface Draft extends FuzzRecord {
  readonly data: object;
  readonly oddities: readonly OddPlace[];
  /** Stands for the data. */
  readonly isRaw: boolean;
}

type Mutation = (draft: Draft) => Draft;

function draftOf({ key, headers, data }: Recorded): Draft {
  return { key: Buffer.from(key), headers, data, oddities: [], value: null, isRaw: false };
}

function recordOf({ key, headers, data, oddities, value, isRaw }: Draft): FuzzRecord {
  return { key, headers, value: isRaw ? value : Buffer.from(withOddities(data, oddities)) };
}

const nth = fc.nat({ max: 1_000 });
const at = <T>(items: readonly T[], index: number): T | undefined => items[index % items.length];
const put = (place: OddPlace): Mutation => {
  return (draft) => ({ ...draft, oddities: [...draft.oddities, place] });
};
const replace = (odd: string | null, index: number): Mutation => {
  return (draft) => put({ path: at(pathsOf(draft.data), index) ?? [], odd })(draft);
};
const setHeader = (name: string, value: IHeaders[string]): Mutation => {
  return (draft) => ({ ...draft, headers: { ...draft.headers, [name]: value } });
};
/** A header that the record has. */
const changeHeader = (index: number, value: IHeaders[string]): Mutation => {
  return (draft) => setHeader(at(Object.keys(draft.headers), index) ?? 'ce_id', value)(draft);
};
const dropHeader = (index: number): Mutation => {
  return (draft) => {
    const dropped = at(Object.keys(draft.headers), index);
    const left = Object.entries(draft.headers).filter(([name]) => name !== dropped);
    return { ...draft, headers: Object.fromEntries(left) };
  };
};
const setValue = (value: Buffer | null): Mutation => {
  return (draft) => ({ ...draft, value, isRaw: true });
};
const setKey = (key: Buffer | null): Mutation => {
  return (draft) => ({ ...draft, key });
};
const cutValue = (index: number): Mutation => {
  return (draft) => {
    const whole = Buffer.from(withOddities(draft.data, draft.oddities));
    return setValue(whole.subarray(0, index % whole.length))(draft);
  };
};

const anyType = fc.constantFrom(
  ...new Set(recorded.map(({ headers }) => headers['ce_type'] ?? '')),
  ...[
    'dev.holdfast.run.requested.v2',
    'dev.holdfast.run.started.v9',
    'DEV.HOLDFAST.RUN.STARTED.V1',
  ],
);
const newField = fc.constantFrom(
  '__proto__',
  'constructor',
  'toJSON',
  'then',
  'length',
  'more',
  '\0',
);
const ourHeader = fc.constantFrom('x-holdfast-dispatch', 'x-holdfast-hop', 'x-holdfast-not-before');
const newHeader = fc.constantFrom('__proto__', 'constructor', 'x', 'CE_ID', 'a\0', 'traceparent');
const hugeHeader = fc.constant('h'.repeat(200_000));

const anyMutation: fc.Arbitrary<Mutation> = fc.oneof(
  { weight: 300, arbitrary: fc.tuple(fc.option(oddJson), nth).map((args) => replace(...args)) },
  {
    weight: 50,
    arbitrary: fc.tuple(newField, oddJson).map(([name, odd]) => put({ path: [name], odd })),
  },
  {
    weight: 150,
    arbitrary: fc.tuple(nth, fc.oneof(oddText, oddBytes)).map((args) => changeHeader(...args)),
  },
  { weight: 50, arbitrary: nth.map(dropHeader) },
  {
    weight: 50,
    arbitrary: fc
      .tuple(nth, fc.array(oddText, { maxLength: 4 }))
      .map((args) => changeHeader(...args)),
  },
  { weight: 50, arbitrary: fc.tuple(newHeader, oddText).map((args) => setHeader(...args)) },
  { weight: 50, arbitrary: fc.tuple(ourHeader, oddText).map((args) => setHeader(...args)) },
  { weight: 50, arbitrary: anyType.map((type) => setHeader('ce_type', type)) },
  { weight: 30, arbitrary: fc.constantFrom(...oddTimes).map((time) => setHeader('ce_time', time)) },
  {
    weight: 50,
    arbitrary: fc
      .option(
        fc.oneof(
          oddBytes,
          oddText.map((text) => Buffer.from(text)),
        ),
      )
      .map(setKey),
  },
  {
    weight: 80,
    arbitrary: fc
      .option(
        fc.oneof(
          oddBytes,
          oddJson.map((json) => Buffer.from(json)),
        ),
      )
      .map(setValue),
  },
  { weight: 50, arbitrary: nth.map(cutValue) },
  // Few: each is up to a megabyte.
  { weight: 3, arbitrary: fc.tuple(hugeJson, nth).map((args) => replace(...args)) },
  { weight: 2, arbitrary: fc.tuple(nth, hugeHeader).map((args) => changeHeader(...args)) },
);
