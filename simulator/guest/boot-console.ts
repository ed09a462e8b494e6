/** What a machine prints on its serial console from the first kernel line to the login prompt. */
import type { Distribution } from './distributions.ts';

/** A piece of console text and how long after power-on it is written. */
export interface BootLine {
  readonly afterMs: number;
  readonly text: string;
}

/** When the login prompt stands, after power-on. Unit: milliseconds. */
export const LOGIN_AFTER_MS = 18_000;

export interface BootFacts {
  readonly distribution: Distribution;
  readonly kernel: string;
  readonly hostname: string;
  readonly memoryKiB: number;
  readonly bootLimit: number | null;
  readonly quiet: boolean;
  readonly auditd: 'running' | 'stopped' | 'absent';
  readonly epochMs: number;
  /** How a kernel line begins, so many milliseconds after the boot. */
  readonly stamp: (milliseconds: number) => string;
}

const GREEN_OK = '[\x1b[0;32m  OK  \x1b[0m]';

/** The boot of a machine. With `quiet` no kernel line below an error reaches the console, not even the banner. */
export function bootConsole(facts: BootFacts): readonly BootLine[] {
  return [
    ...(facts.quiet ? [] : kernelLines(facts)),
    ...(facts.distribution.init === 'systemd' ? systemdLines(facts) : sysvLines(facts)),
    { afterMs: LOGIN_AFTER_MS, text: loginPrompt(facts) },
  ];
}

function kernelLines(facts: BootFacts): BootLine[] {
  const { distribution, kernel, memoryKiB } = facts;
  const limit = facts.bootLimit === null ? '' : ` audit_backlog_limit=${facts.bootLimit}`;
  const commandLine = `BOOT_IMAGE=/boot/vmlinuz-${kernel} root=/dev/nvme0n1p1 ro console=tty0 console=ttyS0,115200n8 nvme_core.io_timeout=4294967295${limit}`;
  const announced: readonly [number, string][] =
    facts.bootLimit === null ? [] : [[0, `audit: audit_backlog_limit: ${facts.bootLimit}`]];
  const texts: readonly [number, string][] = [
    [0, `Linux version ${kernel} ${distribution.kernelBuild}`],
    [0, `Command line: ${commandLine}`],
    [0, 'BIOS-provided physical RAM map:'],
    [0, 'BIOS-e820: [mem 0x0000000000000000-0x000000000009fbff] usable'],
    [0, 'DMI: Amazon EC2 t3.large/, BIOS 1.0 10/16/2017'],
    [0, 'Hypervisor detected: KVM'],
    [0, `Kernel command line: ${commandLine}`],
    ...announced,
    [0, `Memory: ${Math.floor(memoryKiB * 0.96)}K/${memoryKiB}K available (16388K kernel code, 3122K rwdata)`],
    [0, 'Console: colour VGA+ 80x25'],
    [0, 'printk: console [ttyS0] enabled'],
    [171, 'smp: Brought up 1 node, 2 CPUs'],
    [214, 'audit: initializing netlink subsys (disabled)'],
    [218, `audit: type=2000 audit(${(facts.epochMs / 1000).toFixed(3)}:1): state=initialized audit_enabled=0 res=1`],
    [640, 'NET: Registered PF_INET6 protocol family'],
    [812, 'nvme nvme0: pci function 0000:00:04.0'],
    [1440, 'Freeing unused kernel image (initmem) memory: 2612K'],
    [1475, 'Run /init as init process'],
    [2310, 'EXT4-fs (nvme0n1p1): mounted filesystem with ordered data mode'],
  ];
  return texts.map(([afterMs, text]) => ({ afterMs, text: `${facts.stamp(afterMs)}${text}\r\n` }));
}

function systemdLines({ distribution, hostname, auditd, quiet, stamp }: BootFacts): BootLine[] {
  const early: readonly [number, string][] = quiet
    ? []
    : [
        [3120, `${stamp(3120)}systemd[1]: Detected virtualization amazon.`],
        [3130, `${stamp(3130)}systemd[1]: Set hostname to <${hostname}>.`],
      ];
  const units = [
    'Listening on Journal Socket.',
    'Started Journal Service.',
    ...(auditd === 'running' ? ['Started Security Auditing Service.'] : []),
    'Reached target Local File Systems.',
    'Started OpenSSH server daemon.',
    'Started amazon-ssm-agent.',
    'Reached target Multi-User System.',
  ];
  return [
    ...early.map(([afterMs, text]) => ({ afterMs, text: `${text}\r\n` })),
    { afterMs: 3200, text: `\r\nWelcome to ${distribution.banner}!\r\n\r\n` },
    ...units.map((unit, i) => ({ afterMs: 3400 + i * 1700, text: `${GREEN_OK} ${unit}\r\n` })),
  ];
}

function sysvLines({ distribution, hostname, auditd }: BootFacts): BootLine[] {
  return [
    { afterMs: 3200, text: `\t\tWelcome to ${distribution.banner}\r\n` },
    { afterMs: 3300, text: `Setting hostname ${hostname}:  [  OK  ]\r\n` },
    { afterMs: 5200, text: 'INIT: Entering runlevel: 3\r\n' },
    ...(auditd === 'running' ? [{ afterMs: 6900, text: 'Starting auditd: [  OK  ]\r\n' }] : []),
    { afterMs: 8200, text: 'Starting sshd: [  OK  ]\r\n' },
    { afterMs: 9900, text: 'Starting crond: [  OK  ]\r\n' },
  ];
}

/** Stands without a line end: what the kernel prints next is glued to it. */
function loginPrompt({ distribution, kernel, hostname }: BootFacts): string {
  return `\r\n${distribution.banner}\r\nKernel ${kernel} on an x86_64 (ttyS0)\r\n\r\n${hostname} login: `;
}

/** What a system that goes down by itself prints last. @param stamp how its last kernel line begins */
export function shutdownText(distribution: Distribution, stamp: string, how: 'reboot' | 'power-off'): string {
  const services =
    distribution.init === 'systemd'
      ? `${GREEN_OK} Stopped OpenSSH server daemon.\r\n${GREEN_OK} Reached target Shutdown.\r\n`
      : 'Stopping sshd: [  OK  ]\r\nSending all processes the TERM signal... [  OK  ]\r\n';
  return `\r\n${services}${stamp}reboot: ${how === 'reboot' ? 'Restarting system' : 'Power down'}\r\n`;
}
