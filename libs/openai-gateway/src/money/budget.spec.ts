import { nanoUsd } from '#libs/domain';
import { decideReservations } from './budget.js';

const run = { scope: 'run', name: 'r', key: 'run/r', limit: nanoUsd(10n) } as const;
const tenant = { scope: 'tenant', name: 't', key: 'tenant/d/t', limit: nanoUsd(10n) } as const;

it.each([
  ['run', 7n, 6n],
  ['tenant', 6n, 7n],
])(
  'of two budgets that do not cover a call, that of the %s is named: it covers less',
  (scope, byRun, byTenant) => {
    const spent = new Map([
      [run.key, nanoUsd(byRun)],
      [tenant.key, nanoUsd(byTenant)],
    ]);
    const [decided] = decideReservations([{ amount: nanoUsd(5n), budgets: [run, tenant] }], spent);
    expect(decided).toMatchObject({ budget: { scope }, left: 3n });
  },
);
