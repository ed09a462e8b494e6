/** The shells and the awks that a machine may have; what the machine that tests lacks is named and left out. */
import { spawnSync } from 'node:child_process';

/** A shell that may stand behind /bin/sh. */
export interface Shell {
  readonly name: string;
  readonly command: readonly string[];
  /** The awk that stands beside it, as a command line: not every shell with every awk, but each of either. null: the one on PATH. */
  readonly awk: string | null;
}

const ALL: readonly { readonly command: readonly string[]; readonly awk: string }[] = [
  { command: ['dash'], awk: 'mawk' },
  { command: ['bash'], awk: 'gawk' },
  { command: ['busybox', 'sh'], awk: 'busybox awk' },
];

const runs = (command: readonly string[], ...args: readonly string[]) =>
  spawnSync(command[0] ?? '', [...command.slice(1), ...args]).status === 0;

/** Those of dash, bash and busybox that are here. */
export const SHELLS: readonly Shell[] = ALL.flatMap(({ command, awk }): readonly Shell[] => {
  const name = command.join(' ');
  if (!runs(command, '-c', ':')) {
    process.stderr.write(`runbook: no ${name} here, what runs under it is skipped\n`);
    return [];
  }
  if (runs(awk.split(' '), 'BEGIN { exit 0 }')) return [{ name, command, awk }];
  process.stderr.write(`runbook: no ${awk} here, ${name} runs with the awk on PATH\n`);
  return [{ name, command, awk: null }];
});
