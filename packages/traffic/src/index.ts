export { type AgentFacts, agentFacts } from './agent.ts';
export {
  burstClicks,
  burstWindowMs,
  type Classification,
  classify,
  type ClassReason,
  type TrafficClass,
} from './classify.ts';
export { type Headers, type HeaderTraits, headerTraits, type RequestTraits } from './traits.ts';
