/** Ports on 127.0.0.1: a free one, the usual one if it is free, or exactly the one that was asked for. */
import { createServer } from 'node:net';
import { StackPortInUseError, StackSettingInvalidError } from './stack-errors.js';

export type PortWish =
  | { readonly kind: 'any' }
  /** The usual port where it is free, else any: for what people look up rarely. */
  | { readonly kind: 'preferred'; readonly port: number }
  /** Asked for by a setting: this or an error that names the setting. */
  | { readonly kind: 'exact'; readonly port: number; readonly setting: string };

export interface ChosenPort {
  readonly port: number;
  /** The preferred port that was busy. */
  readonly insteadOf: number | null;
}

export async function choosePort(wish: PortWish, what: string): Promise<ChosenPort> {
  switch (wish.kind) {
    case 'any':
      return { port: await listenBriefly(0), insteadOf: null };
    case 'preferred': {
      const isFree = await isPortFree(wish.port);
      return isFree
        ? { port: wish.port, insteadOf: null }
        : { port: await listenBriefly(0), insteadOf: wish.port };
    }
    case 'exact':
      if (!(await isPortFree(wish.port)))
        throw new StackPortInUseError(wish.port, what, wish.setting);
      return { port: wish.port, insteadOf: null };
  }
}

export async function isPortFree(port: number): Promise<boolean> {
  return listenBriefly(port).then(
    () => true,
    () => false,
  );
}

function listenBriefly(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : port));
    });
  });
}

/** A port from a setting is meant exactly; without the setting the usual one is only preferred. */
export function portWish(value: string | undefined, setting: string, usual: number): PortWish {
  if (value === undefined || value === '') return { kind: 'preferred', port: usual };
  const port = Number(value);
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw new StackSettingInvalidError(setting, value, 'a port, 1 to 65535');
  return { kind: 'exact', port, setting };
}
