import { bootLimit } from './boot-limit.ts';
import { COLLISIONS } from './collisions.ts';
import { cycle } from './cycle.ts';
import { hang } from './hang.ts';
import { HAZARDS } from './hazards.ts';
import { LAYOUTS } from './layouts.ts';
import { pitfallScenario } from './pitfall.ts';
import type { Scenario } from './scenario.ts';
import { wholeService } from './whole-service.ts';

/** In the order in which they run. */
export const SCENARIOS: readonly Scenario[] = [
  cycle,
  hang,
  wholeService,
  bootLimit,
  ...COLLISIONS,
  ...[...HAZARDS, ...LAYOUTS].map(pitfallScenario),
];
