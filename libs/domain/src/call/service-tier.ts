/** What a model call costs, and how soon it comes: `flex` is cheaper and may find no room, `priority` is dearer and quicker. */
export const serviceTiers = ['default', 'flex', 'priority'] as const;
export type ServiceTier = (typeof serviceTiers)[number];
