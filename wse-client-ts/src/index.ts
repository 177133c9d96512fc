// Entry `wse-client`: the core and the React hooks.
export * from './core';
export { useWSEClient, WSEProvider } from './react/context';
export { useWSEEvent, type ClientChoice } from './react/use-event';
export { useOutbox, type UseOutboxResult } from './react/use-outbox';
export { usePresence, type UsePresenceOptions, type UsePresenceResult } from './react/use-presence';
export { useTopic, type UseReducedTopicOptions, type UseTopicOptions, type UseTopicResult } from './react/use-topic';
export { useWSE, type UseWSEOptions, type UseWSEResult } from './react/use-wse';
