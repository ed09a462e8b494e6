/**
 * Kernels on which a reload of the audit rules, or auditd itself, may lock the machine up. On these the runbook raises the
 * running limit alone, and nothing restarts the machine or auditd. The runbook is one file that stands alone, so it carries
 * the releases again; a test holds the two lists together.
 */
export interface UnsafeKernel {
  /** What `uname -r` begins with, up to the architecture. */
  readonly release: string;
  readonly distribution: string;
  readonly why: string;
  /** Where it is said. */
  readonly source: string;
}

const AL2_RECALL = {
  distribution: 'Amazon Linux 2',
  why: 'soft lockups and failed launches with auditd; recalled in August 2025',
  source: 'https://docs.aws.amazon.com/AL2/latest/relnotes/relnotes-20250804.html',
} as const;

export const UNSAFE_KERNELS: readonly UnsafeKernel[] = [
  { release: '5.4.296-217.423.amzn2', ...AL2_RECALL },
  { release: '5.10.240-238.955.amzn2', ...AL2_RECALL },
  { release: '5.15.189-131.202.amzn2', ...AL2_RECALL },
  {
    release: '6.1.147-172.259.amzn2023',
    distribution: 'Amazon Linux 2023',
    why: 'lockups in the audit code',
    source: 'https://github.com/amazonlinux/amazon-linux-2023/issues/988',
  },
];

/**
 * The entry that a kernel release falls under, or null.
 *
 * @param release As `uname -r` prints it, with or without the architecture (`.x86_64`, `.aarch64`); null where unknown.
 */
export function unsafeKernel(release: string | null): UnsafeKernel | null {
  if (release === null) return null;
  return UNSAFE_KERNELS.find((k) => release === k.release || release.startsWith(`${k.release}.`)) ?? null;
}
