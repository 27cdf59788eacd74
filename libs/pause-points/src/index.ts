/** Where a process can be told to stand still, so that a fault spec can strike there. Test-only; off unless set. */
export * from './pause-points.js';
export * from './parse-pause.js';
export * from './pause-at.js';
