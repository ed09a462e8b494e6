import { RUNBOOK_TIMEOUT_SECONDS } from '../../lambdas/runbook/document.ts';
import { TEMPO } from '../../lambdas/tempo.ts';

it('counts a command as stuck after all it may take, and before SSM calls it undelivered', () => {
  const total = TEMPO.commandDeliverySeconds + RUNBOOK_TIMEOUT_SECONDS;
  expect(TEMPO.commandEndSeconds).toBeGreaterThan(RUNBOOK_TIMEOUT_SECONDS);
  expect(TEMPO.commandEndSeconds).toBeLessThan(total);
});
