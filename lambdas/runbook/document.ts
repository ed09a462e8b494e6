/** The SSM document that carries the runbook to the instances, and the parameters it takes. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { canonicalDocumentHash } from './document-hash.ts';

/** One parameter of the runbook: pattern and default stand in the document, and the script checks it once more. */
export interface RunbookParameter {
  readonly name: string;
  /** A whole-string regular expression. It lets nothing through that a shell could read as more than one plain word. */
  readonly pattern: string;
  readonly default: string;
  readonly meaning: string;
}

/** 0 to 9,999,999, no leading zeros. */
const COUNT = '^(0|[1-9][0-9]{0,6})$';
/** 64 to 1,000,000. */
const LIMIT = '^(6[4-9]|[7-9][0-9]|[1-9][0-9]{2,5}|1000000)$';

export const RUNBOOK_PARAMETERS = [
  {
    name: 'Mode',
    pattern: '^(plan|apply)$',
    default: 'plan',
    meaning: 'plan reads and says what apply would do; apply does it.',
  },
  {
    name: 'OverflowedAt',
    pattern: COUNT,
    default: '0',
    meaning:
      'The limit that overflowed, as the evidence names it. Unit: buffers. 0: unknown, the limit in force counts.',
  },
  {
    name: 'Factor',
    pattern: '^([1-9]|1[0-6])$',
    default: '2',
    meaning: 'Times the limit that overflowed. 1 to 16.',
  },
  {
    name: 'Minimum',
    pattern: LIMIT,
    default: '8192',
    meaning: 'Least target. Unit: buffers of 8,970 bytes, 64 to 1,000,000.',
  },
  {
    name: 'Maximum',
    pattern: LIMIT,
    default: '65536',
    meaning: 'Largest target. Unit: buffers, 64 to 1,000,000.',
  },
  {
    name: 'MemoryPercent',
    pattern: '^([1-9]|[1-4][0-9]|50)$',
    default: '10',
    meaning: 'Share of MemTotal that a full queue may take. Unit: percent, 1 to 50.',
  },
  {
    name: 'Expected',
    pattern: COUNT,
    default: '0',
    meaning: 'The target that was last proven here; configured below it means that it was undone. 0: none.',
  },
  {
    name: 'RestartAuditd',
    pattern: '^(needed|always|never)$',
    default: 'needed',
    meaning: 'needed: only when auditd is dead or the kernel does not show the new limit.',
  },
  {
    name: 'BootLimit',
    pattern: '^(no|yes)$',
    default: 'no',
    meaning:
      'yes: also set audit_backlog_limit= on the kernel command line, with grubby, update-grub or grub2-mkconfig, for the next boot.',
  },
] as const satisfies readonly RunbookParameter[];

export type RunbookParameterName = (typeof RUNBOOK_PARAMETERS)[number]['name'];

/** Longest run of the script on an instance before the agent ends it. Unit: seconds. */
export const RUNBOOK_TIMEOUT_SECONDS = 300;

/** An SSM document of schema 2.2, as far as this one uses it. */
export interface SsmDocument {
  readonly schemaVersion: '2.2';
  readonly description: string;
  readonly parameters: Readonly<
    Record<
      string,
      {
        readonly type: 'String';
        readonly description: string;
        readonly default: string;
        readonly allowedPattern: string;
        readonly interpolationType: 'ENV_VAR';
      }
    >
  >;
  readonly mainSteps: readonly [
    {
      readonly action: 'aws:runShellScript';
      readonly name: 'resizeAuditBacklog';
      readonly precondition: { readonly StringEquals: readonly ['platformType', 'Linux'] };
      readonly inputs: { readonly timeoutSeconds: string; readonly runCommand: readonly string[] };
    },
  ];
}

/**
 * The document for a script.
 *
 * The parameters reach the script as environment variables. Agents before 3.3.2746.0 ignore `interpolationType`; for them
 * stands the documented fallback, which pastes the value as text: SSM has matched it with the pattern before, and no
 * pattern lets a quote, a blank, a line end, `$` or a backtick through.
 */
export function runbookDocument(script: string): SsmDocument {
  const lines = script.replace(/\n$/, '').split('\n');
  const fallback = RUNBOOK_PARAMETERS.map(
    ({ name }) => `if [ -z "\${SSM_${name}+x}" ]; then export SSM_${name}="{{${name}}}"; fi`,
  );
  const shebang = lines[0]?.startsWith('#!') ? [lines[0]] : [];
  return {
    schemaVersion: '2.2',
    description:
      "Raises the Linux kernel's audit backlog limit, proves it by reading back, and prints one line of JSON.",
    parameters: Object.fromEntries(
      RUNBOOK_PARAMETERS.map((p) => [
        p.name,
        {
          type: 'String',
          description: p.meaning,
          default: p.default,
          allowedPattern: p.pattern,
          interpolationType: 'ENV_VAR',
        },
      ]),
    ),
    mainSteps: [
      {
        action: 'aws:runShellScript',
        name: 'resizeAuditBacklog',
        precondition: { StringEquals: ['platformType', 'Linux'] },
        inputs: {
          timeoutSeconds: String(RUNBOOK_TIMEOUT_SECONDS),
          runCommand: [...shebang, ...fallback, ...lines.slice(shebang.length)],
        },
      },
    ],
  };
}

/** Names a document's content, however CloudFormation and SSM spell it: 64 hexadecimal digits. */
export function documentHash(content: string | SsmDocument): string {
  return canonicalDocumentHash(content);
}

/** A value that the document would refuse. Nothing was sent. */
export class RunbookParameterError extends Error {
  override readonly name = 'RunbookParameterError';
}

/**
 * The `Parameters` of a SendCommand call. What is not given has the document's default.
 *
 * @throws {@link RunbookParameterError} when a name is unknown or a value does not match its pattern.
 */
export function runbookParameters(
  values: Readonly<Partial<Record<RunbookParameterName, string | number>>>,
): Record<string, string[]> {
  const result: Record<string, string[]> = {};
  for (const [name, value] of Object.entries(values)) {
    const parameter = RUNBOOK_PARAMETERS.find((p) => p.name === name);
    if (!parameter) {
      throw new RunbookParameterError(`the runbook has no parameter ${name}: correct the caller of runbookParameters`);
    }
    // `$` also matches before a final line end in other engines than this one: said here for both.
    if (!new RegExp(parameter.pattern).test(String(value)) || String(value).includes('\n')) {
      throw new RunbookParameterError(
        `parameter ${name} of the runbook does not match ${parameter.pattern} (${parameter.meaning}): correct the policy`,
      );
    }
    result[name] = [String(value)];
  }
  return result;
}

/**
 * The script that the document carries: `set-boot-limit.sh` (functions alone) put into `resize-audit-backlog.sh` after
 * its first line. For the stack, the CLI and the simulator; the functions need only the document.
 */
export function readRunbookScript(folder: string = import.meta.dirname): string {
  const read = (name: string) => readFileSync(join(folder, name), 'utf8');
  const script = read('resize-audit-backlog.sh');
  const body = script.indexOf('\n') + 1;
  return script.slice(0, body) + read('set-boot-limit.sh') + script.slice(body);
}
