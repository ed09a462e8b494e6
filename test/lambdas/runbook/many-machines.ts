/**
 * Many machines, one after the other in one shell process: what answers for kernel and system are functions, so that a run
 * costs a tenth of one of {@link Machine}. The script is the same, whole and unchanged; each runs in a subshell of its own.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { BASE, type Files, SCRIPT } from './machine.ts';

const LIMIT = 320;

const SHELL = `
timeout() { shift 3; "$@"; }
uname() { echo 6.1.0-99-cloud-amd64; }
sync() { :; }
systemctl() { :; }
augenrules() { :; }
df() { printf 'Filesystem 1024-blocks Used Available Capacity Mounted on\\n/dev/sda1 1000000 370000 630000 37%% /\\n'; }
auditctl() {
  case $1 in
    -b) echo "$2" >"$LIMIT" ;;
    -s) read -r now <"$LIMIT"
      printf 'enabled 1\\nfailure 1\\npid 712\\nrate_limit 0\\nbacklog_limit %s\\nlost 0\\nbacklog 3\\nbacklog_wait_time 60000\\n' "$now" ;;
  esac
}
n=0
while [ "$n" -lt "$COUNT" ]; do
  LIMIT=$PLACE/$n.limit AUDIT_BACKLOG_ROOT=$PLACE/$n
  ( . "$PLACE/script.sh" ) >"$PLACE/$n.out" 2>"$PLACE/$n.err"
  n=$((n + 1))
done
`;

/** What became of one of them. */
export interface Ended {
  readonly stdout: string;
  readonly stderr: string;
  /** The kernel's limit. */
  readonly limit: number;
  /** latin1; null: no such file. */
  read(path: string): string | null;
}

/** Runs the script in apply mode on each of these trees at a limit of 320, and hands over what became of them. */
export function withMany<T>(trees: readonly Files[], use: (ended: readonly Ended[]) => T): T {
  const place = mkdtempSync(join(tmpdir(), 'many-'));
  try {
    writeFileSync(join(place, 'script.sh'), SCRIPT);
    for (const [n, tree] of trees.entries()) {
      writeFileSync(join(place, `${n}.limit`), `${LIMIT}\n`);
      for (const [path, entry] of Object.entries({ ...BASE, ...tree })) put(join(place, `${n}`, path), entry);
    }
    const done = spawnSync('sh', ['-c', SHELL], {
      env: {
        PATH: process.env.PATH,
        PLACE: place,
        COUNT: `${trees.length}`,
        SSM_Mode: 'apply',
        SSM_OverflowedAt: `${LIMIT}`,
      },
      encoding: 'utf8',
    });
    if (done.status !== 0 || done.stderr !== '') throw new Error(`the shell ended with ${done.status}: ${done.stderr}`);
    return use(
      trees.map((_, n) => ({
        stdout: readFileSync(join(place, `${n}.out`), 'utf8'),
        stderr: readFileSync(join(place, `${n}.err`), 'utf8'),
        limit: Number(readFileSync(join(place, `${n}.limit`), 'utf8')),
        read: (path) => readOrNull(join(place, `${n}`, path)),
      })),
    );
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}

function put(path: string, entry: Files[string] | undefined): void {
  if (typeof entry === 'string') {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, entry);
  } else if (entry && 'folder' in entry) mkdirSync(path, { recursive: true });
  else throw new Error(`${path}: only texts and folders here`);
}

function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, 'latin1');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
