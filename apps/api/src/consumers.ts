/** Group `holdfast.api.submit-runs`: submit-runs makes it, create-api starts it, drain ends it. That of events is the KafkaTransportStrategy. */
export const COMMANDS_CONSUMER = Symbol('CommandsConsumer');
