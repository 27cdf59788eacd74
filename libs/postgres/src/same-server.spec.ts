import { isSameServer } from './same-server.js';

it.each([
  ['postgres://a:b@db/holdfast', 'postgres://c@db:5432/other', true],
  ['postgres://db:5433/x', 'postgresql://db:5433/x?sslmode=require', true],
  ['postgres://db/x', 'postgres://db:5433/x', false],
  ['postgres://db/x', 'postgres://db2/x', false],
  ['postgres:///x', 'postgres:///x', false],
  ['postgres:///x?host=/run/postgresql', 'postgres:///x?host=/run/postgresql', false],
  ['postgres://db/x?host=db2', 'postgres://db/x', false],
  ['postgres://db1,db2/x', 'postgres://db1,db2/x', false],
  ['no url', 'no url', false],
])('%s and %s: one server? %s', (one, other, same) => {
  expect(isSameServer(one, other)).toBe(same);
});
