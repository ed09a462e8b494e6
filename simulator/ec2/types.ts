/** Instance types as DescribeInstanceTypes tells of them: what the service may look at, of a few dozen known types. */
import { ApiError } from '../core.ts';

/** One row of DescribeInstanceTypes. */
export interface InstanceType {
  readonly name: string;
  readonly hypervisor: 'nitro' | 'xen' | null;
  readonly bareMetal: boolean;
  readonly architecture: 'x86_64' | 'arm64' | 'x86_64_mac' | 'arm64_mac';
  readonly vCpus: number;
  readonly memoryMiB: number;
  /** Total instance store in GB; 0 where the type has none. */
  readonly instanceStoreGB: number;
  readonly currentGeneration: boolean;
}

interface Family {
  readonly family: string;
  readonly hypervisor: 'nitro' | 'xen' | null;
  readonly architecture: InstanceType['architecture'];
  readonly currentGeneration: boolean;
  /** size -> vCPUs, MiB of memory, GB of instance store. */
  readonly sizes: Readonly<Record<string, readonly [number, number, number?]>>;
}

const BURSTABLE = {
  nano: [2, 512],
  micro: [2, 1024],
  small: [2, 2048],
  medium: [2, 4096],
  large: [2, 8192],
  xlarge: [4, 16384],
  '2xlarge': [8, 32768],
} as const;

const FAMILIES: readonly Family[] = [
  { family: 't3', hypervisor: 'nitro', architecture: 'x86_64', currentGeneration: true, sizes: BURSTABLE },
  { family: 't3a', hypervisor: 'nitro', architecture: 'x86_64', currentGeneration: true, sizes: BURSTABLE },
  { family: 't4g', hypervisor: 'nitro', architecture: 'arm64', currentGeneration: true, sizes: BURSTABLE },
  {
    family: 't2',
    hypervisor: 'xen',
    architecture: 'x86_64',
    currentGeneration: true,
    sizes: { micro: [1, 1024], small: [1, 2048], medium: [2, 4096], large: [2, 8192] },
  },
  {
    family: 'm4',
    hypervisor: 'xen',
    architecture: 'x86_64',
    currentGeneration: true,
    sizes: { large: [2, 8192], xlarge: [4, 16384] },
  },
  {
    family: 'm3',
    hypervisor: 'xen',
    architecture: 'x86_64',
    currentGeneration: false,
    sizes: { medium: [1, 3840, 4], large: [2, 7680, 32] },
  },
  {
    family: 'm5',
    hypervisor: 'nitro',
    architecture: 'x86_64',
    currentGeneration: true,
    sizes: { large: [2, 8192], xlarge: [4, 16384], '2xlarge': [8, 32768], metal: [96, 393216] },
  },
  {
    family: 'm5d',
    hypervisor: 'nitro',
    architecture: 'x86_64',
    currentGeneration: true,
    sizes: { large: [2, 8192, 75], xlarge: [4, 16384, 150] },
  },
  {
    family: 'm6i',
    hypervisor: 'nitro',
    architecture: 'x86_64',
    currentGeneration: true,
    sizes: { large: [2, 8192], xlarge: [4, 16384], '2xlarge': [8, 32768] },
  },
  {
    family: 'm7g',
    hypervisor: 'nitro',
    architecture: 'arm64',
    currentGeneration: true,
    sizes: { medium: [1, 4096], large: [2, 8192], xlarge: [4, 16384] },
  },
  {
    family: 'c5',
    hypervisor: 'nitro',
    architecture: 'x86_64',
    currentGeneration: true,
    sizes: { large: [2, 4096], xlarge: [4, 8192], '2xlarge': [8, 16384] },
  },
  {
    family: 'c5d',
    hypervisor: 'nitro',
    architecture: 'x86_64',
    currentGeneration: true,
    sizes: { large: [2, 4096, 50], xlarge: [4, 8192, 100] },
  },
  {
    family: 'r5',
    hypervisor: 'nitro',
    architecture: 'x86_64',
    currentGeneration: true,
    sizes: { large: [2, 16384], xlarge: [4, 32768], '2xlarge': [8, 65536] },
  },
  {
    family: 'i3',
    hypervisor: 'xen',
    architecture: 'x86_64',
    currentGeneration: true,
    sizes: { large: [2, 15616, 475], xlarge: [4, 31232, 950], metal: [72, 524288, 15200] },
  },
  {
    family: 'i3en',
    hypervisor: 'nitro',
    architecture: 'x86_64',
    currentGeneration: true,
    sizes: { large: [2, 16384, 1250], xlarge: [4, 32768, 2500] },
  },
  {
    family: 'mac1',
    hypervisor: null,
    architecture: 'x86_64_mac',
    currentGeneration: true,
    sizes: { metal: [12, 32768] },
  },
  {
    family: 'mac2',
    hypervisor: null,
    architecture: 'arm64_mac',
    currentGeneration: true,
    sizes: { metal: [8, 16384] },
  },
];

/** Every known type, by name. */
export const INSTANCE_TYPES: ReadonlyMap<string, InstanceType> = new Map(
  FAMILIES.flatMap(({ family, hypervisor, architecture, currentGeneration, sizes }) =>
    Object.entries(sizes).map(([size, [vCpus, memoryMiB, instanceStoreGB = 0]]) => {
      const name = `${family}.${size}`;
      const bareMetal = size === 'metal';
      const type: InstanceType = {
        name,
        hypervisor: bareMetal ? null : hypervisor,
        bareMetal,
        architecture,
        vCpus,
        memoryMiB,
        instanceStoreGB,
        currentGeneration,
      };
      return [name, type] as const;
    }),
  ),
);

/** The row of a type that an instance has. @throws ApiError InvalidInstanceType where the table lacks it. */
export function instanceTypeOf(name: string): InstanceType {
  const type = INSTANCE_TYPES.get(name);
  if (type === undefined) {
    throw new ApiError('InvalidInstanceType', `The following supplied instance types do not exist: [${name}]`);
  }
  return type;
}

/** `Latest` is documented for Nitro-based instances: virtual ones on Nitro, and bare metal of the Nitro System. */
export function supportsLatestConsole(type: InstanceType): boolean {
  return type.hypervisor === 'nitro' || (type.bareMetal && !type.architecture.endsWith('_mac'));
}

/** Mac instances run on dedicated hosts that are scrubbed for up to hours after a stop. */
export function isMac(type: InstanceType): boolean {
  return type.architecture.endsWith('_mac');
}
