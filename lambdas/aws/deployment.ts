/** What the stack tells its functions, from their environment. Nothing is read at import time and nothing is logged. */
import * as z from 'zod';
import type { Cell } from '../../domain/finding.ts';
import { accountIdSchema, type Policy, policySchema, regionSchema } from '../../domain/policy.ts';
import { InvalidInputError, parseInput } from '../../domain/validation.ts';

/** Where the service is deployed, by what names it finds its own resources, and what its policy allows. */
export interface Deployment {
  /** Account and region the service runs in: its table, log group, topic and bus stand here. */
  readonly home: Cell;
  readonly tableName: string;
  readonly logGroupName: string;
  /** null: nobody is notified. */
  readonly topicArn: string | null;
  readonly eventBusName: string;
  /** Name of the SSM document; every cell has its own of the same name. */
  readonly documentName: string;
  /** Canonical hash of the document (`canonicalDocumentHash`), 64 hexadecimal digits. */
  readonly documentHash: string;
  readonly policy: Policy;
  /** `aws`, `aws-cn`, `aws-us-gov`: the first part of every ARN. */
  readonly partition: string;
  /** Qualified ARNs (alias or version): an unqualified durable function cannot be invoked. Each function is told only of
   * the next one in the chain (`run` of sweep, `sweep` of cell, `cell` of restart); see {@link nextFunction}. */
  readonly sweepFunctionArn: string | null;
  readonly cellFunctionArn: string | null;
  readonly restartFunctionArn: string | null;
  /** Name of the role assumed in other accounts, with its path if it has one; null: only the home account can be worked on. */
  readonly memberRoleName: string | null;
  readonly externalId: string | null;
}

const name = z.string().min(1, 'it is empty').max(512);
const functionArn = z
  .string()
  .regex(
    /^arn:aws[a-z-]*:lambda:[a-z0-9-]+:\d{12}:function:[^:]+:[^:]+$/,
    'a qualified function ARN (with alias or version)',
  );
const optional = <S extends z.ZodType>(schema: S) =>
  z.preprocess((value) => (value === '' ? undefined : value), schema.optional());

const environmentSchema = z.object({
  AWS_REGION: regionSchema,
  ACCOUNT_ID: accountIdSchema,
  TABLE_NAME: name,
  LOG_GROUP_NAME: name,
  TOPIC_ARN: optional(z.string().regex(/^arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]+$/, 'an SNS topic ARN')),
  EVENT_BUS_NAME: name,
  DOCUMENT_NAME: name,
  DOCUMENT_HASH: z.string().regex(/^[0-9a-f]{64}$/, 'a SHA-256 of 64 hexadecimal digits'),
  POLICY: z.string().min(1, 'it is empty'),
  SWEEP_FUNCTION_ARN: optional(functionArn),
  CELL_FUNCTION_ARN: optional(functionArn),
  RESTART_FUNCTION_ARN: optional(functionArn),
  MEMBER_ROLE_NAME: optional(z.string().regex(/^([\w+=,.@-]+\/)*[\w+=,.@-]{1,64}$/, 'an IAM role name')),
  EXTERNAL_ID: optional(z.string().regex(/^[\w+=,.@:/-]{2,1224}$/, 'an external id as STS accepts it')),
});

/**
 * Reads the deployment from a function's environment.
 *
 * @throws InvalidInputError with one line that names every variable that is absent or wrong.
 */
export function deploymentFromEnvironment(env: Readonly<Record<string, string | undefined>>): Deployment {
  const values = parseInput(environmentSchema, env, 'The function environment');
  return {
    home: { accountId: values.ACCOUNT_ID, region: values.AWS_REGION },
    tableName: values.TABLE_NAME,
    logGroupName: values.LOG_GROUP_NAME,
    topicArn: values.TOPIC_ARN ?? null,
    eventBusName: values.EVENT_BUS_NAME,
    documentName: values.DOCUMENT_NAME,
    documentHash: values.DOCUMENT_HASH,
    policy: parsePolicy(values.POLICY),
    partition: partitionOf(
      values.TOPIC_ARN ?? values.SWEEP_FUNCTION_ARN ?? values.CELL_FUNCTION_ARN ?? values.RESTART_FUNCTION_ARN,
      values.AWS_REGION,
    ),
    sweepFunctionArn: values.SWEEP_FUNCTION_ARN ?? null,
    cellFunctionArn: values.CELL_FUNCTION_ARN ?? null,
    restartFunctionArn: values.RESTART_FUNCTION_ARN ?? null,
    memberRoleName: values.MEMBER_ROLE_NAME ?? null,
    externalId: values.EXTERNAL_ID ?? null,
  };
}

/** As an ARN says it; where the stack gave none, as the region's name does. */
function partitionOf(arn: string | undefined, region: string): string {
  const named = arn?.split(':')[1];
  if (named) return named;
  if (region.startsWith('cn-')) return 'aws-cn';
  return region.startsWith('us-gov-') ? 'aws-us-gov' : 'aws';
}

/**
 * The function that comes next in the chain.
 *
 * @throws InvalidInputError where the stack did not name it.
 */
export function nextFunction(deployment: Deployment, name: 'sweep' | 'cell' | 'restart'): string {
  const arn = deployment[`${name}FunctionArn`];
  if (arn) return arn;
  const variable = `${name.toUpperCase()}_FUNCTION_ARN`;
  throw new InvalidInputError(`The function environment: ${variable} is not set; deploy the stack again`);
}

function parsePolicy(text: string): Policy {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new InvalidInputError('The function environment: POLICY: it is not JSON');
  }
  return parseInput(policySchema, value, 'The function environment: POLICY');
}
