/** What the documents of the API say of themselves. */

/** Version of the wire: grows with what callers can see, not with each build. */
export const API_VERSION = '1.0.0';

export const LICENSE = { name: 'Apache-2.0' } as const;
