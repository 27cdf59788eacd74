/** NOTIFY channel: the read model has changed. Only a hint; who waits polls too. */
export const RUN_EVENTS_CHANNEL = 'holdfast_api_run_events';
