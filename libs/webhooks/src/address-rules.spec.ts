/** Pure; nothing stands in. What a host may be written as goes through the URL parser first, as it does when it is sent to. */
import { findAddresses } from './find-addresses.js';
import { kindOfAddress } from './address-rules.js';

it.each([
  ['8.8.8.8', 'public'],
  ['172.15.255.255', 'public'],
  ['172.32.0.0', 'public'],
  ['100.63.255.255', 'public'],
  ['2606:4700::1111', 'public'],
  ['::ffff:8.8.8.8', 'public'],

  ['127.0.0.1', 'private'],
  ['127.255.255.254', 'private'],
  ['10.0.0.1', 'private'],
  ['172.16.0.1', 'private'],
  ['172.31.255.255', 'private'],
  ['192.168.1.1', 'private'],
  ['100.64.0.1', 'private'],
  ['100.127.255.255', 'private'],
  ['::1', 'private'],
  ['fc00::1', 'private'],
  ['fd12:3456::1', 'private'],
  ['::ffff:10.0.0.1', 'private'],
  ['::ffff:7f00:1', 'private'],
  ['::127.0.0.1', 'private'],

  ['169.254.169.254', 'never'],
  ['::ffff:169.254.169.254', 'never'],
  ['fe80::1', 'never'],
  ['fe80::1%eth0', 'never'],
  ['0.0.0.0', 'never'],
  ['::', 'never'],
  ['224.0.0.1', 'never'],
  ['ff02::1', 'never'],
  ['255.255.255.255', 'never'],
  ['240.0.0.1', 'never'],
  ['192.0.2.1', 'never'],
  ['198.18.0.1', 'never'],
  ['2001:db8::1', 'never'],
  ['2002:7f00:1::', 'never'],
  ['64:ff9b::a00:1', 'never'],
  ['2001::1', 'never'],
  ['fec0::1', 'never'],
  ['not an address', 'never'],
  ['', 'never'],
])('%s: %s', (address, kind) => {
  expect(kindOfAddress(address)).toBe(kind);
});

/** As the system's look-up does: an address is itself. Any other name is not known here. */
const itself = (host: string) => Promise.resolve([{ address: host, family: 4 }]);

it.each([
  'https://2130706433/',
  'https://0x7f000001/',
  'https://0177.0.0.1/',
  'https://127.1/',
  'https://[::1]/',
  'https://[::ffff:127.0.0.1]/',
  'https://[::ffff:7f00:1]/',
  'https://%31%32%37.0.0.1/',
  'https://①②⑦.0.0.1/',
])('%s is this machine, however it is written', async (url) => {
  const options = { lookup: itself, privateAddresses: 'refused', timeoutMs: 1_000 } as const;
  expect(await findAddresses(new URL(url), options)).toEqual({
    ...{ kind: 'refused', because: 'address_refused' },
  });
});

const found = (addresses: readonly string[], url = 'https://hooks.example.com/', allowed = false) =>
  findAddresses(new URL(url), {
    lookup: () => Promise.resolve(addresses.map((address) => ({ address, family: 4 }))),
    privateAddresses: allowed ? 'allowed' : 'refused',
    timeoutMs: 1_000,
  });

describe('the addresses of a name', () => {
  it('are looked at, each: one that is none to send to is enough to send to none', async () => {
    expect(await found(['8.8.8.8', '10.0.0.1'])).toMatchObject({ because: 'address_refused' });
    expect(await found(['8.8.8.8', '8.8.4.4'])).toMatchObject({ kind: 'found' });
    expect(await found([])).toEqual({ kind: 'not_found', cause: 'no_address' });
  });

  it('may be of our own network where that is allowed, but never the place of credentials', async () => {
    expect(await found(['10.0.0.1'], 'http://inside/', true)).toMatchObject({ kind: 'found' });
    expect(await found(['169.254.169.254'], 'http://inside/', true)).toMatchObject({
      because: 'address_refused',
    });
  });

  it('of the open network are reached by https only', async () => {
    expect(await found(['8.8.8.8'], 'http://hooks.example.com/', true)).toEqual({
      ...{ kind: 'refused', because: 'not_https' },
    });
  });

  it('that do not come, in time or at all, are none', async () => {
    const never = () => new Promise<never>(() => undefined);
    const options = { privateAddresses: 'refused', timeoutMs: 20 } as const;
    const url = new URL('https://hooks.example.com/');
    expect(await findAddresses(url, { ...options, lookup: never })).toEqual({
      ...{ kind: 'not_found', cause: 'ETIMEOUT' },
    });
    const unknown = () => Promise.reject(Object.assign(new Error(), { code: 'ENOTFOUND' }));
    expect(await findAddresses(url, { ...options, lookup: unknown })).toEqual({
      ...{ kind: 'not_found', cause: 'ENOTFOUND' },
    });
  });
});
