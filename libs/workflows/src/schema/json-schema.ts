/**
 * JSON schemas as plain data, and the TypeScript type that a schema written `as const` describes, so that
 * a contract and the type of what meets it cannot drift apart.
 */
export type JsonSchema = Readonly<Record<string, unknown>>;

/**
 * The type described by a schema `as const`. Covers what contracts here are made of: objects (a key not in
 * `required` is optional), arrays, `enum`, `const`, `anyOf`, and the scalar types alone or in a list.
 */
export type FromSchema<S> = S extends { readonly const: infer Value }
  ? Value
  : S extends { readonly enum: readonly (infer Value)[] }
    ? Value
    : S extends { readonly anyOf: readonly (infer Option)[] }
      ? FromSchema<Option>
      : S extends { readonly type: 'object'; readonly properties: infer Properties }
        ? FromProperties<Properties, RequiredKeys<S>>
        : S extends { readonly type: 'array'; readonly items: infer Items }
          ? readonly FromSchema<Items>[]
          : S extends { readonly type: readonly (infer Name)[] }
            ? Scalar<Name>
            : S extends { readonly type: infer Name }
              ? Scalar<Name>
              : unknown;

type FromProperties<P, Required> = {
  readonly [K in keyof P as K extends Required ? K : never]: FromSchema<P[K]>;
} & {
  readonly [K in keyof P as K extends Required ? never : K]?: FromSchema<P[K]>;
};

type RequiredKeys<S> = S extends { readonly required: readonly (infer Key)[] } ? Key : never;

type Scalar<Name> = Name extends 'string'
  ? string
  : Name extends 'number' | 'integer'
    ? number
    : Name extends 'boolean'
      ? boolean
      : Name extends 'null'
        ? null
        : unknown;
