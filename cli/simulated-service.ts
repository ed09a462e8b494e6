/**
 * The whole service, deployed into the embedded region: the handlers that Lambda would run, with the real SDK clients,
 * on the simulator's APIs, durable engine and clock.
 */

import { type RunReport, type RunRequest, runReportSchema } from '../domain/contracts.ts';
import { type PolicyInput, policySchema } from '../domain/policy.ts';
import type { HubPorts } from '../domain/ports.ts';
import { parseInput } from '../domain/validation.ts';
import type { Wire } from '../lambdas/aws/clients.ts';
import type { Deployment } from '../lambdas/aws/deployment.ts';
import { createHubPorts } from '../lambdas/aws/open-cell.ts';
import { createHandler as createCell } from '../lambdas/cell/handler.ts';
import { createHandler as createReconcile } from '../lambdas/reconcile/handler.ts';
import { createHandler as createRestart } from '../lambdas/restart/handler.ts';
import { createHandler as createRun } from '../lambdas/run/handler.ts';
import { readRunbookScript, runbookDocument } from '../lambdas/runbook/document.ts';
import { canonicalDocumentHash } from '../lambdas/runbook/document-hash.ts';
import { createHandler as createSweep } from '../lambdas/sweep/handler.ts';
import { storedReport } from '../lambdas/sweep/report.ts';
import { SILENT } from '../lambdas/telemetry.ts';
import { TEMPO, type Tempo } from '../lambdas/tempo.ts';
import { credentialsFor, EmbeddedCloud } from '../simulator/cloud.ts';
import { EventLog, Random } from '../simulator/core.ts';
import { type DynamoDbOptions, DynamoDbService } from '../simulator/dynamodb.ts';
import type { CrashPlan } from '../simulator/engine/crash-plan.ts';
import { DurableEngine } from '../simulator/engine/durable-engine.ts';
import { EventBridgeService } from '../simulator/events.ts';
import { allFaults, type Faults } from '../simulator/faults.ts';
import type { Authorise } from '../simulator/iam/authoriser.ts';
import { type Answering, EmbeddedSigner, inProcessHandler } from '../simulator/in-process.ts';
import { LambdaService } from '../simulator/lambda.ts';
import { LogsService } from '../simulator/logs.ts';
import { CloudWatchService } from '../simulator/monitoring.ts';
import type { QuotaTable } from '../simulator/quotas.ts';
import { SnsService } from '../simulator/sns.ts';
import { SsmService } from '../simulator/ssm.ts';

const DOCUMENT_NAME = 'audit-backlog-resize';
const TABLE_NAME = 'audit-backlog-ledger';
const LOG_GROUP_NAME = '/audit-backlog/records';
const TOPIC_NAME = 'audit-backlog-news';
/** What the parts of the simulated deployment are called. */
export const SIMULATED_NAMES = {
  table: TABLE_NAME,
  logGroup: LOG_GROUP_NAME,
  topic: TOPIC_NAME,
  document: DOCUMENT_NAME,
} as const;
const DAY_SECONDS = 86_400;
const RECONCILE_MS = 5 * 60_000;

/** How the service and its world are set up. */
export interface SimulatedServiceOptions {
  readonly seed: number;
  readonly policy: PolicyInput;
  /** Account and region it runs in. */
  readonly home: { readonly accountId: string; readonly region: string };
  readonly faults?: Faults;
  readonly crashPlan?: CrashPlan;
  /** From the death of an invocation to the next one. Unit: seconds. Default 1. */
  readonly resumeDelaySeconds?: number;
  readonly quotas?: QuotaTable;
  /** Default: as on AWS. */
  readonly tempo?: Tempo;
  /** Longest time that the region shows what was before a change. Unit: milliseconds; default 3,000. */
  readonly eventualConsistencyMs?: number;
  /** How the ledger's table lags and deals with batches. Default: not at all, and whole. */
  readonly dynamoDb?: DynamoDbOptions;
  /** IAM in front of every call: each function calls as a role of its own name. Default: everything is allowed. */
  readonly authorise?: Authorise;
  /** The role that the service assumes in other accounts. Default: none, it stays in its own. */
  readonly memberRole?: { readonly name: string; readonly externalId: string | null };
  /** Accounts in scope in which nobody has deployed the document. Default: none. */
  readonly unprepared?: readonly string[];
  /** What stands between the service and the cloud. Default: nothing. */
  readonly between?: (cloud: Answering) => Answering;
}

/** Where the service's own messages went. */
export interface SimulatedNews {
  readonly sns: SnsService;
  readonly events: EventBridgeService;
  readonly logs: LogsService;
}

/** The service and the world it works in. Uses the global clock: install virtual time first for virtual hours. */
export class SimulatedService {
  readonly log = new EventLog();
  readonly cloud: EmbeddedCloud;
  readonly engine: DurableEngine;
  readonly ssm: SsmService;
  readonly news: SimulatedNews;
  /** Its alarms are in the state that they are set to. */
  readonly cloudWatch = new CloudWatchService();
  readonly deployment: Deployment;
  readonly wire: Wire;
  /** Ports of the hub, for reading the ledger from outside of the functions. */
  readonly hub: HubPorts;
  #reconcileTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: SimulatedServiceOptions) {
    const { seed, home } = options;
    const random = new Random(seed);
    const engine = new DurableEngine({
      ...home,
      log: this.log,
      ...(options.crashPlan ? { crashPlan: options.crashPlan } : {}),
      ...(options.resumeDelaySeconds === undefined ? {} : { resumeDelaySeconds: options.resumeDelaySeconds }),
    });
    this.engine = engine;
    this.cloud = new EmbeddedCloud({
      seed,
      homeAccountId: home.accountId,
      log: this.log,
      eventualConsistencyMs: options.eventualConsistencyMs ?? 3000,
      faults: allFaults([engine.crashes(), ...(options.faults ? [options.faults] : [])]),
      ...(options.quotas ? { quotas: options.quotas } : {}),
      ...(options.authorise ? { authorise: options.authorise } : {}),
    });
    const script = readRunbookScript();
    const content = JSON.stringify(runbookDocument(script));
    this.ssm = new SsmService({ directory: this.cloud, random: random.fork('ssm'), log: this.log });
    this.ssm.registerRunbook({ name: DOCUMENT_NAME, content, script });
    const dynamo = new DynamoDbService(options.dynamoDb);
    dynamo.createTable({ name: TABLE_NAME, partitionKey: 'pk', sortKey: 'sk', timeToLive: 'expiresAt' });
    this.news = { sns: new SnsService(), events: new EventBridgeService(), logs: new LogsService() };
    for (const service of [
      this.ssm,
      dynamo,
      this.news.sns,
      this.news.events,
      this.news.logs,
      this.cloudWatch,
      new LambdaService(this.engine),
    ]) {
      this.cloud.register(service);
    }
    const { accountId, region } = home;
    const alias = (name: string) => `arn:aws:lambda:${region}:${accountId}:function:${name}:live`;
    this.deployment = {
      home,
      tableName: TABLE_NAME,
      logGroupName: LOG_GROUP_NAME,
      topicArn: `arn:aws:sns:${region}:${accountId}:${TOPIC_NAME}`,
      eventBusName: 'default',
      documentName: DOCUMENT_NAME,
      documentHash: canonicalDocumentHash(content),
      policy: parseInput(policySchema, options.policy, 'policy'),
      partition: 'aws',
      sweepFunctionArn: alias('sweep'),
      cellFunctionArn: alias('cell'),
      restartFunctionArn: alias('restart'),
      memberRoleName: options.memberRole?.name ?? null,
      externalId: options.memberRole?.externalId ?? null,
    };
    this.wire = {
      requestHandler: inProcessHandler(options.between?.(this.cloud) ?? this.cloud),
      credentials: credentialsFor(accountId),
      signerConstructor: EmbeddedSigner,
    };
    this.hub = createHubPorts(this.deployment, this.wire);
    this.#deployFunctions(options.tempo ?? TEMPO);
    this.#deployDocuments(content, options.unprepared ?? []);
    this.news.logs.createLogGroup(accountId, region, LOG_GROUP_NAME);
    this.news.sns.createTopic(this.deployment.topicArn ?? TOPIC_NAME);
  }

  /** Starts a run as the schedule or a person does, and lets it come to its end. */
  async run(request: RunRequest): Promise<RunReport> {
    const started = await this.engine.invokePlain('run:live', request);
    if (!started.ok) throw new Error(`${started.errorType}: ${started.errorMessage}`);
    const { runId, executionArn } = JSON.parse(started.payload ?? '{}') as { runId: string; executionArn: string };
    this.#reconcileOnSchedule();
    try {
      const ended = await this.engine.settled(executionArn);
      if (ended.status !== 'SUCCEEDED') this.engine.result(executionArn);
      return await this.reportOf(runId);
    } finally {
      clearTimeout(this.#reconcileTimer);
    }
  }

  /** The whole report of a run that is done, from the ledger. */
  async reportOf(runId: string): Promise<RunReport> {
    const record = await this.hub.ledger.getRun(runId);
    const report = record.ok && record.value ? await storedReport(this.hub.ledger, record.value) : null;
    if (!report) throw new Error(`the ledger has no report of ${runId}`);
    return parseInput(runReportSchema, report, 'report');
  }

  #reconcileOnSchedule(): void {
    this.#reconcileTimer = setTimeout(() => {
      void this.engine.invokePlain('reconcile:live', {});
      this.#reconcileOnSchedule();
    }, RECONCILE_MS);
  }

  #deployFunctions(tempo: Tempo): void {
    const { deployment, engine } = this;
    // Every function calls as its own role; what looks on from outside calls as the account's root.
    const as = (role: string): Wire => ({
      ...this.wire,
      credentials: credentialsFor(deployment.home.accountId, role),
    });
    const durable = (name: string, days: number) => ({
      name,
      aliases: ['live'],
      executionTimeoutSeconds: days * DAY_SECONDS,
    });
    engine.registerPlain({ name: 'run', aliases: ['live'], timeoutSeconds: 120 }, createRun(deployment, as('run')));
    engine.registerPlain(
      { name: 'reconcile', aliases: ['live'], timeoutSeconds: 300 },
      createReconcile(deployment, as('reconcile')),
    );
    engine.registerDurable(durable('sweep', 1), (config) => createSweep(deployment, SILENT, as('sweep'), config));
    engine.registerDurable(durable('cell', 1), (config) => createCell(deployment, SILENT, as('cell'), config, tempo));
    engine.registerDurable(durable('restart', 1), (config) =>
      createRestart(deployment, SILENT, as('restart'), config, tempo),
    );
  }

  #deployDocuments(content: string, unprepared: readonly string[]): void {
    const { scope } = this.deployment.policy;
    const accounts = scope.accounts.length > 0 ? scope.accounts : [this.deployment.home.accountId];
    for (const accountId of accounts.filter((one) => !unprepared.includes(one))) {
      for (const region of scope.regions.length > 0 ? scope.regions : [this.deployment.home.region]) {
        const params = { Name: DOCUMENT_NAME, Content: content, DocumentType: 'Command', DocumentFormat: 'JSON' };
        this.ssm.handle({ service: 'ssm', action: 'CreateDocument', accountId, region, principal: 'deploy', params });
      }
    }
  }
}
