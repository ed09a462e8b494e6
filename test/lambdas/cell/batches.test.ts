import type { ActionEntry } from '../../../domain/contracts.ts';
import { type PolicyInput, policySchema } from '../../../domain/policy.ts';
import { parametersFor } from '../../../lambdas/cell/batches.ts';
import { runbookParameters } from '../../../lambdas/runbook/document.ts';

const parameters = (sizing: PolicyInput['sizing'] = {}, code: ActionEntry['code'] = 'resize') =>
  parametersFor('apply', { code, evidence: null } as unknown as ActionEntry, null, policySchema.parse({ sizing }));

describe('the runbook’s parameters', () => {
  it('are those of the policy, and the document takes them', () => {
    const sizing = { factor: 3, minimum: 128, maximum: 4096, memoryPercent: 5, restartAuditd: 'always' } as const;
    const given = parameters(sizing);
    expect(given).toMatchObject({
      Mode: 'apply',
      Factor: '3',
      Minimum: '128',
      Maximum: '4096',
      MemoryPercent: '5',
      RestartAuditd: 'always',
    });
    expect(Object.keys(runbookParameters(given))).toEqual(Object.keys(given));
  });

  it('touch the kernel command line only where the policy says so', () => {
    expect(parameters().BootLimit).toBe('no');
    expect(parameters({ bootLimit: true }).BootLimit).toBe('yes');
  });

  it('never touch auditd on a kernel known to lock up', () => {
    expect(parameters({ restartAuditd: 'always' }, 'bad-kernel').RestartAuditd).toBe('never');
  });
});
