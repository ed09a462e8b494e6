import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readEvidence } from '../../domain/evidence.ts';

const fixture = (kind: string): Buffer => readFileSync(join(__dirname, `../fixtures/evidence/vm-cycle-${kind}.log`));

describe.each(['systemd', 'sysvinit'])('the serial console of a machine with %s that overflowed', (kind) => {
  it('is told as an overflow of the present boot', () => {
    expect(readEvidence(fixture(kind))).toMatchObject({
      ...{ verdict: 'overflow', limit: 64, backlog: 65, lost: 3, panic: false, currentBoot: true, boots: 1 },
      kernel: expect.stringMatching(/^6\.1\.0-\d+-cloud-amd64$/),
    });
  });

  it('kept its line ends', () => {
    expect(fixture(kind).includes('backlog limit exceeded\r\n')).toBe(true);
  });

  it('says nothing before the overflow', () => {
    const text = fixture(kind).toString('latin1');
    const boot = text.slice(0, text.indexOf('audit: audit_backlog='));
    expect(boot.length).toBeGreaterThan(20_000);
    expect(readEvidence(Buffer.from(boot, 'latin1'))).toMatchObject({ verdict: 'none', boots: 1 });
  });
});
