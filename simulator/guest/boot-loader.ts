/** A guest's boot loader: the files that its own `grubby` or `update-grub` keeps, and what they tell the kernel at boot. */
import type { Distribution } from './distributions.ts';
import type { FileTree, GuestFile } from './files.ts';

const ENTRY = '/boot/loader/entries/guest.conf';
const CONFIG = '/boot/grub/grub.cfg';
const ARGUMENTS = 'ro console=ttyS0,115200n8';
const PROGRAM = '# Stands for a program; the guest has its own, see commands/.\n';

/** Red Hat and Amazon Linux keep entries with grubby; Debian and Ubuntu make one menu of /etc/default/grub. */
export function bootLoaderFiles(
  distribution: Distribution,
  bootLimit: number | null,
): Readonly<Record<string, GuestFile>> {
  const program = { content: PROGRAM, mode: 0o755 };
  const text = (content: string): GuestFile => ({ content, mode: 0o644 });
  const limit = bootLimit === null ? '' : ` audit_backlog_limit=${bootLimit}`;
  if (/^(al|rhel)/.test(distribution.id)) {
    return { '/usr/sbin/grubby': program, [ENTRY]: text(`options ${ARGUMENTS}${limit}\n`) };
  }
  return {
    '/usr/sbin/update-grub': program,
    '/etc/default/grub': text(`GRUB_TIMEOUT=0\nGRUB_CMDLINE_LINUX="${ARGUMENTS}${limit}"\n`),
    '/etc/default/grub.d/init-select.cfg': text(''),
    [CONFIG]: text(`menuentry guest {\n  linux /boot/vmlinuz root=/dev/nvme0n1p1 ${ARGUMENTS}${limit}\n}\n`),
  };
}

/** `audit_backlog_limit=` as the kernel finds it on its command line: the last one counts; null: none. */
export function bootLimitOf(tree: FileTree): number | null {
  const menu = tree.get(ENTRY)?.content ?? tree.get(CONFIG)?.content ?? '';
  const last = [...menu.matchAll(/ audit_backlog_limit=(\d+)/g)].at(-1)?.[1];
  return last === undefined ? null : Number(last);
}
