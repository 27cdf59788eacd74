import { requireServer, ServerTooOldError } from './migrate.js';

it.each(['18.4', '18.4 (Debian 18.4-1.pgdg12+1)', '19beta1', '20'])(
  'a server of version %s will do',
  (version) => {
    expect(() => requireServer(version)).not.toThrow();
  },
);

it.each(['17.2', '9.6', '17.2 (Debian 17.2-1)'])(
  'one of version %s is refused, with what to do',
  (version) => {
    expect(() => requireServer(version)).toThrow(ServerTooOldError);
    expect(() => requireServer(version)).toThrow(/needs 18 or later: upgrade it/);
  },
);
