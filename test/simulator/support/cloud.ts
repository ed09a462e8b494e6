/** A small cloud with fake machines, and real SDK clients that talk to it in process on jest's clock. */
import { EC2Client } from '@aws-sdk/client-ec2';
import { type CloudOptions, credentialsFor, EmbeddedCloud, type InstanceProfile } from '../../../simulator/cloud.ts';
import { EventLog } from '../../../simulator/core.ts';
import type { EmbeddedInstance } from '../../../simulator/ec2/instance.ts';
import { inProcessHandler } from '../../../simulator/in-process.ts';
import { FakeMachine } from './fake-machine.ts';

export const HOME = '111122223333';
export const REGION = 'eu-west-1';
export const START = Date.UTC(2026, 10, 22, 4);
export const DAY = 86_400_000;

export function makeCloud(options: Partial<CloudOptions> = {}): EmbeddedCloud {
  return new EmbeddedCloud({ seed: 7, homeAccountId: HOME, log: new EventLog(), latencyMs: [0, 0], ...options });
}

/** Adds an instance to the home cell, running for a day unless said otherwise. */
export function add(
  cloud: EmbeddedCloud,
  profile: Partial<InstanceProfile> = {},
): { readonly instance: EmbeddedInstance; readonly machine: FakeMachine; readonly id: string } {
  const machine = new FakeMachine();
  const whole: InstanceProfile = {
    instanceType: 'm5.large',
    imageId: 'ami-1',
    launchTime: Date.now() - DAY,
    ...profile,
  };
  const instance = cloud.addInstance(cloud.cell(HOME, REGION), whole, machine);
  return { instance, machine, id: instance.instanceId };
}

export function clientOptions(cloud: EmbeddedCloud, role?: string) {
  return {
    region: REGION,
    credentials: credentialsFor(HOME, role),
    requestHandler: inProcessHandler(cloud),
    maxAttempts: 1,
  };
}

export function ec2Of(cloud: EmbeddedCloud, role?: string): EC2Client {
  return new EC2Client(clientOptions(cloud, role));
}

/** Jest's timers and date, and nothing of the event loop. */
export function fakeTime(): void {
  jest.useFakeTimers({
    now: START,
    doNotFake: ['nextTick', 'setImmediate', 'clearImmediate', 'queueMicrotask', 'performance', 'hrtime'],
  });
}

/** Lets the fake clock run, a millisecond at a time, until a call is answered. */
export async function live<T>(promise: Promise<T>): Promise<T> {
  let settled = false;
  promise.then(
    () => (settled = true),
    () => (settled = true),
  );
  while (!settled) {
    await new Promise((resolve) => setImmediate(resolve));
    await jest.advanceTimersByTimeAsync(1);
  }
  return promise;
}

/** The error that a call ends with. */
export async function failure(promise: Promise<unknown>): Promise<Error & { $metadata?: { httpStatusCode?: number } }> {
  try {
    await live(promise);
  } catch (error) {
    if (error instanceof Error) return error;
    throw error;
  }
  throw new Error('the call did not fail');
}

export async function pass(milliseconds: number): Promise<void> {
  await jest.advanceTimersByTimeAsync(milliseconds);
}
