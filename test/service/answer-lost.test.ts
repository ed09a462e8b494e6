/** SSM says Delivery Timed Out of a runbook that ran: its answer never came. The service sends again, and nothing doubles. */
import { APPLY, actionOn, inSmallWorld, overflowedMachine, type SmallWorld } from '../support/small-world.ts';

/** From the moment that the runbook has run until `back` the agent of this machine answers nobody. */
function loseTheAnswer(world: SmallWorld, name: string): { back: () => void } {
  const machine = world.machine(name);
  const agent = machine.agent.bind(machine);
  let silent = false;
  machine.agent = (at) => {
    const view = agent(at);
    return view && silent ? { ...view, answering: false } : view;
  };
  world.once(
    // The first that raised it: an assess comes before where no line names the limit.
    ({ kind, what, instanceId, detail }) =>
      kind === 'guest' && what === 'script' && instanceId === world.id(name) && detail?.limit !== 320,
    () => {
      silent = true;
    },
  );
  return {
    back: () => {
      silent = false;
    },
  };
}

const ended = (world: SmallWorld) =>
  world.service.log.events
    .filter(({ kind, what }) => kind === 'ssm' && what === 'invocation-end')
    .map(({ detail }) => detail?.status);

describe('a DeliveryTimedOut that ran', () => {
  test.each([
    ['the evidence names the limit', {}],
    ['no line names it: it is sized from the limit in force', { quietConsole: true }],
  ])('then a second send: the same limit, and no byte changes (%s)', (_, guest) => {
    const usual = overflowedMachine();
    const machines = { sick: { ...usual, guest: { ...usual.guest, ...guest } } };
    // Without the usual minimum, so that a second sizing from the raised limit would show.
    return inSmallWorld({ machines, policy: { ...APPLY, sizing: { minimum: 64 } } }, async (world) => {
      const { back } = loseTheAnswer(world, 'sick');
      const { outcome } = actionOn(await world.run(), world, 'sick');
      expect(outcome).toMatchObject({ result: 'stuck', proven: false, limitAfter: null });
      const ran = world.truth('sick');
      expect(ran).toMatchObject({ effectiveLimit: 640, configuredLimit: 640 });
      await world.minutes(30);
      expect(ended(world).at(-1)).toBe('DeliveryTimedOut');
      back();
      const { outcome: again } = actionOn(await world.run(), world, 'sick');
      expect(again).toMatchObject({ result: 'already-sufficient', proven: true, limitBefore: 640, limitAfter: 640 });
      expect(world.truth('sick')).toMatchObject({ effectiveLimit: 640, files: ran.files });
    });
  });
});
