/**
 * Facts about the system, for alerts and whoever runs Holdfast: one for the whole fleet, not one per run. Keyed by what they are
 * about, `gateway/<account>` or `gateway/<account>/<model>`.
 */
import { IsIn, IsInt, IsISO8601, IsNotEmpty, IsOptional, IsString, Matches } from 'class-validator';
import { failureClasses, type FailureClass } from '#libs/domain';

/** What a latch is about. */
class LatchBase {
  @Matches(/^latch_[0-9a-f-]{36}$/)
  latchId!: string;

  /** The OpenAI account, by the name that the settings give it. */
  @IsString()
  @IsNotEmpty()
  account!: string;

  /** The one model whose calls stop; null: those of the whole account. */
  @IsOptional()
  @IsString()
  model!: string | null;

  /** `billing`, `authorization` or `configuration`. */
  @IsIn(failureClasses)
  class!: FailureClass;

  @IsISO8601()
  latchedAt!: string;
}

/** No call leaves for this account or model any more; runs wait with their attempts unused until the latch is released. */
export class GatewayLatched extends LatchBase {
  /** OpenAI's own code where it gave one. */
  @IsString()
  code!: string;

  @IsOptional()
  @IsInt()
  httpStatus!: number | null;

  /** OpenAI's id of the request that was refused. */
  @IsOptional()
  @IsString()
  requestId!: string | null;

  /** One line: what was found, and what to do about it. */
  @IsString()
  message!: string;
}

/** Calls leave again, the first of them alone. */
export class GatewayReleased extends LatchBase {
  @IsISO8601()
  releasedAt!: string;

  /** A person's word, or a call that was let through and came back well. */
  @IsIn(['operator', 'probe'])
  releasedBy!: 'operator' | 'probe';
}

const opsEventClasses = { GatewayLatched, GatewayReleased } as const;

export type OpsEventName = keyof typeof opsEventClasses;

export const opsEventNames = Object.keys(opsEventClasses) as readonly OpsEventName[];

export type OpsEventData<Name extends OpsEventName> = InstanceType<(typeof opsEventClasses)[Name]>;

const wireTypes: Readonly<Record<OpsEventName, string>> = {
  GatewayLatched: 'dev.holdfast.ops.gateway-latched.v1',
  GatewayReleased: 'dev.holdfast.ops.gateway-released.v1',
};

/** `ce_type` of an event about the system. */
export function opsTypeOf(name: OpsEventName): string {
  return wireTypes[name];
}

export function opsEventClassOf(name: OpsEventName): (typeof opsEventClasses)[OpsEventName] {
  return opsEventClasses[name];
}
