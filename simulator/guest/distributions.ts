/** Linux distributions as far as their audit system, their boot and their console differ. */

export type DistributionId =
  | 'al1'
  | 'al2'
  | 'al2023'
  | 'rhel6'
  | 'rhel7'
  | 'rhel8'
  | 'rhel9'
  | 'ubuntu2204'
  | 'debian12';

export interface Distribution {
  readonly id: DistributionId;
  /** As SSM names it: PlatformName and PlatformVersion. */
  readonly platformName: string;
  readonly platformVersion: string;
  /** First line of the login banner on the console. */
  readonly banner: string;
  readonly osRelease: string;
  readonly init: 'systemd' | 'sysv';
  readonly kernel: string;
  /** What stands after the release in the `Linux version` line. */
  readonly kernelBuild: string;
  readonly auditdVersion: string;
  /** How `auditctl -s` prints: a line a value, or all in one line (audit 2.3 and older). */
  readonly statusFormat: 'lines' | 'line';
  /** rules.d and augenrules, or /etc/audit/audit.rules alone. */
  readonly augenrules: boolean;
  readonly refuseManualStop: boolean;
  /** `service auditd restart` stops by signal (initscripts' legacy actions), whatever the unit refuses. */
  readonly legacyActions: boolean;
  /** Default of `backlog_wait_time`; null: the kernel has none (before 3.14). Unit: jiffies, as the kernel shows it. */
  readonly backlogWaitTime: number | null;
}

const systemd = { init: 'systemd', statusFormat: 'lines', augenrules: true } as const;

function osRelease(name: string, id: string, version: string, pretty: string): string {
  return `NAME="${name}"\nVERSION_ID="${version}"\nID="${id}"\nPRETTY_NAME="${pretty}"\n`;
}

const ALL: readonly Distribution[] = [
  {
    id: 'al1',
    platformName: 'Amazon Linux AMI',
    platformVersion: '2018.03',
    banner: 'Amazon Linux AMI release 2018.03',
    osRelease: osRelease('Amazon Linux AMI', 'amzn', '2018.03', 'Amazon Linux AMI 2018.03'),
    init: 'sysv',
    kernel: '4.14.336-180.566.amzn1.x86_64',
    kernelBuild: '(mockbuild@buildhost) (gcc version 7.2.1 20170915 (Red Hat 7.2.1-2) (GCC)) #1 SMP',
    auditdVersion: '2.6.5',
    statusFormat: 'lines',
    augenrules: true,
    refuseManualStop: false,
    legacyActions: false,
    backlogWaitTime: 15000,
  },
  {
    ...systemd,
    id: 'al2',
    platformName: 'Amazon Linux',
    platformVersion: '2',
    banner: 'Amazon Linux 2',
    osRelease: osRelease('Amazon Linux', 'amzn', '2', 'Amazon Linux 2'),
    kernel: '5.10.245-241.978.amzn2.x86_64',
    kernelBuild: '(mockbuild@buildhost) (gcc10-gcc (GCC) 10.5.0 20230707 (Red Hat 10.5.0-1)) #1 SMP',
    auditdVersion: '2.8.1',
    refuseManualStop: true,
    legacyActions: true,
    backlogWaitTime: 15000,
  },
  {
    ...systemd,
    id: 'al2023',
    platformName: 'Amazon Linux',
    platformVersion: '2023',
    banner: 'Amazon Linux 2023',
    osRelease: osRelease('Amazon Linux', 'amzn', '2023', 'Amazon Linux 2023'),
    kernel: '6.1.158-180.294.amzn2023.x86_64',
    kernelBuild: '(mockbuild@buildhost) (gcc (GCC) 11.5.0 20240719 (Red Hat 11.5.0-5)) #1 SMP PREEMPT_DYNAMIC',
    auditdVersion: '3.0.6',
    refuseManualStop: true,
    legacyActions: true,
    backlogWaitTime: 15000,
  },
  {
    id: 'rhel6',
    platformName: 'Red Hat Enterprise Linux Server',
    platformVersion: '6.10',
    banner: 'Red Hat Enterprise Linux Server release 6.10 (Santiago)',
    osRelease: '',
    init: 'sysv',
    kernel: '2.6.32-754.35.1.el6.x86_64',
    kernelBuild: '(mockbuild@buildhost) (gcc version 4.4.7 20120313 (Red Hat 4.4.7-23) (GCC) ) #1 SMP',
    auditdVersion: '2.3.7',
    statusFormat: 'line',
    augenrules: false,
    refuseManualStop: false,
    legacyActions: false,
    backlogWaitTime: null,
  },
  {
    ...systemd,
    id: 'rhel7',
    platformName: 'Red Hat Enterprise Linux Server',
    platformVersion: '7.9',
    banner: 'Red Hat Enterprise Linux Server 7.9 (Maipo)',
    osRelease: osRelease(
      'Red Hat Enterprise Linux Server',
      'rhel',
      '7.9',
      'Red Hat Enterprise Linux Server 7.9 (Maipo)',
    ),
    kernel: '3.10.0-1160.119.1.el7.x86_64',
    kernelBuild: '(mockbuild@buildhost) (gcc version 4.8.5 20150623 (Red Hat 4.8.5-44) (GCC) ) #1 SMP',
    auditdVersion: '2.8.5',
    refuseManualStop: true,
    legacyActions: true,
    backlogWaitTime: 60000,
  },
  {
    ...systemd,
    id: 'rhel8',
    platformName: 'Red Hat Enterprise Linux',
    platformVersion: '8.10',
    banner: 'Red Hat Enterprise Linux 8.10 (Ootpa)',
    osRelease: osRelease('Red Hat Enterprise Linux', 'rhel', '8.10', 'Red Hat Enterprise Linux 8.10 (Ootpa)'),
    kernel: '4.18.0-553.82.1.el8_10.x86_64',
    kernelBuild: '(mockbuild@buildhost) (gcc version 8.5.0 20210514 (Red Hat 8.5.0-28) (GCC)) #1 SMP',
    auditdVersion: '3.1.2',
    refuseManualStop: true,
    legacyActions: true,
    backlogWaitTime: 60000,
  },
  {
    ...systemd,
    id: 'rhel9',
    platformName: 'Red Hat Enterprise Linux',
    platformVersion: '9.6',
    banner: 'Red Hat Enterprise Linux 9.6 (Plow)',
    osRelease: osRelease('Red Hat Enterprise Linux', 'rhel', '9.6', 'Red Hat Enterprise Linux 9.6 (Plow)'),
    kernel: '5.14.0-570.55.1.el9_6.x86_64',
    kernelBuild: '(mockbuild@buildhost) (gcc (GCC) 11.5.0 20240719 (Red Hat 11.5.0-5)) #1 SMP PREEMPT_DYNAMIC',
    auditdVersion: '3.1.5',
    refuseManualStop: true,
    legacyActions: true,
    backlogWaitTime: 60000,
  },
  {
    ...systemd,
    id: 'ubuntu2204',
    platformName: 'Ubuntu',
    platformVersion: '22.04',
    banner: 'Ubuntu 22.04.5 LTS',
    osRelease: osRelease('Ubuntu', 'ubuntu', '22.04', 'Ubuntu 22.04.5 LTS'),
    kernel: '6.8.0-1040-aws',
    kernelBuild:
      '(buildd@buildhost) (x86_64-linux-gnu-gcc-12 (Ubuntu 12.3.0-1ubuntu1~22.04.2) 12.3.0) #42~22.04.1-Ubuntu SMP',
    auditdVersion: '3.0.7',
    refuseManualStop: true,
    legacyActions: false,
    backlogWaitTime: 60000,
  },
  {
    ...systemd,
    id: 'debian12',
    platformName: 'Debian GNU/Linux',
    platformVersion: '12',
    banner: 'Debian GNU/Linux 12',
    osRelease: osRelease('Debian GNU/Linux', 'debian', '12', 'Debian GNU/Linux 12 (bookworm)'),
    kernel: '6.1.0-41-cloud-amd64',
    kernelBuild:
      '(debian-kernel@lists.debian.org) (gcc-12 (Debian 12.2.0-14+deb12u1) 12.2.0) #1 SMP PREEMPT_DYNAMIC Debian',
    auditdVersion: '3.0.9',
    refuseManualStop: false,
    legacyActions: false,
    backlogWaitTime: 60000,
  },
];

const BY_ID: ReadonlyMap<DistributionId, Distribution> = new Map(ALL.map((d) => [d.id, d]));

/** The distribution of that name. */
export function distribution(id: DistributionId): Distribution {
  const found = BY_ID.get(id);
  if (!found) throw new RangeError(`no such distribution: ${id}`);
  return found;
}

/** Kernel releases compare by their first two numbers. */
export function kernelAtLeast(release: string, major: number, minor: number): boolean {
  const [a = 0, b = 0] = release.split('.').map((part) => Number.parseInt(part, 10));
  return a > major || (a === major && b >= minor);
}
