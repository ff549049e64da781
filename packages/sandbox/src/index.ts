export { type Sandbox, type SandboxOptions, startSandbox } from './server.ts';
export { InvalidWorldError, parseWorld, type SandboxWorld } from './world.ts';
export { type BrCode, type BrCodeReading, readBrCode } from './pix/br-code.ts';
export type { EventCopy, EventGroup, GraphRequest } from './graph/store.ts';
export type { Verdict } from './graph/dedupe.ts';
export type { FaultAction, FaultApi, FaultRule, FaultSettings } from './faults/rules.ts';
