/** Synthesizes the app as `cdk synth` does, with the flags of cdk.json, but without bundling. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type App, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { buildApp } from '../../lib/app.ts';
import { CONTEXT_KEY, type SettingsInput } from '../../lib/settings.ts';

const shipped = (JSON.parse(readFileSync(join(__dirname, '..', '..', 'cdk.json'), 'utf8')) as CdkJson).context;

interface CdkJson {
  readonly context: Readonly<Record<string, unknown>>;
}

/** Settings of cdk.json as they are shipped. */
export const shippedSettings = shipped[CONTEXT_KEY] as SettingsInput;

/** An app with these settings (or JSON text of them); those of cdk.json when none are given. */
export function appWith(settings: unknown = shippedSettings): App {
  const outdir = mkdtempSync(join(tmpdir(), 'audit-backlog-synth-'));
  written.push(outdir);
  return buildApp({
    outdir,
    context: {
      ...shipped,
      'aws:cdk:bundling-stacks': [],
      'aws:cdk:disable-stack-trace': true,
      [CONTEXT_KEY]: settings,
    },
    analyticsReporting: false,
  });
}

const written: string[] = [];
afterAll(() => {
  for (const folder of written.splice(0)) rmSync(folder, { recursive: true });
});

/** Without what CDK itself checks in a template, which takes as long as all else: `variants.test.ts` has it, over every stack. */
export function withoutOwnValidation(): void {
  process.env.CDK_VALIDATION = 'false';
}

/** The template of one stack. */
export function templateOf(app: App, stackName = 'AuditBacklogRemediation'): Template {
  withoutOwnValidation();
  const stack = app.node.findChild(stackName);
  if (!(stack instanceof Stack)) throw new Error(`${stackName} is not a stack`);
  return Template.fromStack(stack);
}

export interface Statement {
  readonly Sid?: string;
  readonly Effect: string;
  readonly Action: string | readonly string[];
  readonly Resource: unknown;
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

/** Every statement that the role of a function has, by the logical id's part (`Run`, `Cell`, ...). */
export function statementsOf(template: Template, part: string): Statement[] {
  const kinds = ['AWS::IAM::Policy', 'AWS::IAM::ManagedPolicy'];
  return kinds
    .flatMap((kind) => Object.values(template.findResources(kind)))
    .filter((policy) => JSON.stringify(policy.Properties.Roles).includes(`Service${part}Role`))
    .flatMap((policy) => policy.Properties.PolicyDocument.Statement as Statement[]);
}

export function actionsOf(statement: Statement): readonly string[] {
  return [statement.Action].flat() as string[];
}

/** A resource of a template, as loosely as JSON is. */
export interface Resource {
  readonly Properties: Readonly<Record<string, Json>>;
  readonly DependsOn?: string | readonly string[];
  readonly DeletionPolicy?: string;
}
// biome-ignore lint/suspicious/noExplicitAny: templates are read by path, and a wrong path makes the assertion fail
export type Json = any;

/** Logical ids and resources of one type. */
export function resources(template: Template, type: string): [string, Resource][] {
  return Object.entries(template.findResources(type)) as [string, Resource][];
}
