/** `sizing.bootLimit`: from the policy to the boot menu of the machine, and what came of it back into the report. */
import { APPLY, actionOn, inSmallWorld, overflowedMachine } from '../support/small-world.ts';

const ENTRY = '/boot/loader/entries/guest.conf';

test.each([true, false])('the policy decides over the kernel command line: %s', (bootLimit) =>
  inSmallWorld(
    { machines: { sick: overflowedMachine() }, policy: { ...APPLY, sizing: { bootLimit } } },
    async (world) => {
      const before = world.truth('sick').files;
      const { outcome } = actionOn(await world.run(), world, 'sick');
      expect(outcome).toMatchObject({ result: 'resized', proven: true, limitAfter: 8192 });
      const after = world.truth('sick').files;
      expect(before).toHaveProperty([ENTRY]);
      expect(after[ENTRY] !== before[ENTRY]).toBe(bootLimit);
      const said = 'Set audit_backlog_limit=8192 on the kernel command line for the next boot.';
      expect(outcome?.message.includes(said)).toBe(bootLimit);
    },
  ),
);
