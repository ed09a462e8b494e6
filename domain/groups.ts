/** What the affected have in common: the place to fix so that the next launch does not undo the cure. */
import type { ActionEntry, Group } from './contracts.ts';
import { isAffected } from './totals.ts';
import { unsafeKernel } from './unsafe-kernels.ts';

/** What grouping needs of an entry. */
export type GroupedEntry = Pick<ActionEntry, 'code' | 'imageId' | 'launchTemplate' | 'evidence'>;

/** Running instances in scope by image, or by launch template and version. */
export type FleetCounts = Readonly<Record<string, number>>;

/** One alone has nothing in common with anybody. */
const LEAST = 2;
/** The largest groups tell; thousands of small ones would not fit into the run's record. */
const MOST = 200;

/**
 * Groups of at least two affected instances by image, launch template and kernel, the largest 200 first. `of` is null where
 * the counts do not say (never for kernels: the kernel of a healthy machine is not read).
 */
export function groupsOf(
  entries: Iterable<GroupedEntry>,
  imageCounts: FleetCounts,
  templateCounts: FleetCounts,
): Group[] {
  const images = new Map<string, number>();
  const templates = new Map<string, number>();
  const kernels = new Map<string, number>();
  for (const entry of entries) {
    if (!isAffected(entry)) continue;
    count(images, entry.imageId);
    count(templates, entry.launchTemplate);
    count(kernels, entry.evidence?.kernel ?? null);
  }
  return [
    ...groups('image', images, imageCounts),
    ...groups('launchTemplate', templates, templateCounts),
    ...groups('kernel', kernels, {}),
  ]
    .sort((a, b) => b.affected - a.affected || compare(a.value, b.value))
    .slice(0, MOST);
}

function count(counts: Map<string, number>, value: string | null): void {
  if (value) counts.set(value, (counts.get(value) ?? 0) + 1);
}

function groups(by: Group['by'], counts: ReadonlyMap<string, number>, fleet: FleetCounts): Group[] {
  return [...counts]
    .filter(([, affected]) => affected >= LEAST)
    .map(([value, affected]) => {
      const counted = fleet[value];
      // Fewer than are affected were not counted at the same time: no share can be told.
      const of = counted !== undefined && counted >= affected ? counted : null;
      return { by, value, affected, of, next: NEXT[by](of === null ? `${affected}` : `${affected} of ${of}`, value) };
    });
}

const NEXT: { readonly [B in Group['by']]: (share: string, value: string) => string } = {
  image: (share, value) =>
    `${share} running ${value} overflow: raise -b in the audit rules of the image, or the next launch undoes the cure.`,
  launchTemplate: (share, value) =>
    `${share} launched from ${value} overflow: give the template an image or user data with a higher -b, or the next launch undoes the cure.`,
  kernel: (share, value) =>
    unsafeKernel(value) === null
      ? `${share} on kernel ${value} overflow: raise audit_backlog_limit on the kernel command line or -b in the rules it ships with.`
      : `${share} on kernel ${value} overflow, and it is known to lock up with auditd: update the kernel.`,
};

/** By code units: the same order on every machine, whatever its locale. */
function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
