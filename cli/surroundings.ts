/** What a command finds around it: region, credentials, policy file. What is missing is said in one line. */
import { readFileSync } from 'node:fs';
import { STSClient } from '@aws-sdk/client-sts';
import { fromNodeProviderChain } from '@aws-sdk/credential-providers';
import { type Policy, policySchema, regionSchema } from '../domain/policy.ts';
import { printable } from '../domain/printable.ts';
import { parseInput } from '../domain/validation.ts';
import type { Wire } from '../lambdas/aws/clients.ts';
import { UsageError } from './exit-codes.ts';

type Credentials = NonNullable<Wire['credentials']>;

/**
 * The region that the environment names as the AWS CLI reads it (AWS_REGION, AWS_DEFAULT_REGION), or the profile's.
 * @throws UsageError when none is configured.
 */
export async function configuredRegion(profile: string | undefined): Promise<string> {
  const named = process.env.AWS_REGION || process.env.AWS_DEFAULT_REGION;
  if (named) return parseInput(regionSchema, named, 'the region of the environment (AWS_REGION, AWS_DEFAULT_REGION)');
  let region: string;
  try {
    region = await new STSClient(profile === undefined ? {} : { profile }).config.region();
  } catch {
    // The SDK has one reason to refuse: no region anywhere.
    const place = profile === undefined ? 'the AWS configuration' : `profile ${printable(profile)}`;
    throw new UsageError(`no region: neither the environment nor ${place} names one; give --region or set AWS_REGION`);
  }
  return parseInput(regionSchema, region, 'the region of the AWS configuration');
}

/**
 * The credentials that the SDK finds, tried once now, so that a run without any ends before it begins.
 * @throws UsageError when there are none, or none that can be used (an expired login, an unknown profile).
 */
export async function usableCredentials(profile: string | undefined): Promise<Credentials> {
  const provider = fromNodeProviderChain(profile === undefined ? {} : { profile });
  try {
    await provider();
  } catch (error) {
    const why = printable(error instanceof Error ? error.message : String(error));
    const whose = profile === undefined ? '' : ` for profile ${printable(profile)}`;
    throw new UsageError(
      `no credentials${whose}: ${why.replace(/[.\s]+$/, '')}; log in (aws sso login), set AWS_PROFILE or ` +
        'AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give --profile',
    );
  }
  return provider;
}

/**
 * The policy of a file, or the safe default one.
 * @throws UsageError when the file cannot be read or is no JSON; InvalidInputError naming every wrong field.
 */
export function policyFrom(file: string | undefined): Policy {
  if (file === undefined) return policySchema.parse({});
  const name = printable(file);
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const why = printable(error instanceof Error ? error.message : String(error));
    throw new UsageError(`the policy file ${name} cannot be read (${why}); check the path and its permissions`);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const why = printable(error instanceof Error ? error.message : String(error));
    throw new UsageError(`the policy file ${name} is no JSON (${why}); correct it there`);
  }
  return parseInput(policySchema, value, `the policy file ${name}`);
}
