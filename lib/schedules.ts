/** What starts the service by itself: a sweep every few hours, and every five minutes a look after what was stopped. */
import { Duration, Stack, TimeZone } from 'aws-cdk-lib';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { IFunction } from 'aws-cdk-lib/aws-lambda';
import {
  ContextAttribute,
  Schedule,
  ScheduleExpression,
  ScheduleTargetInput,
  TimeWindow,
} from 'aws-cdk-lib/aws-scheduler';
import { LambdaInvoke } from 'aws-cdk-lib/aws-scheduler-targets';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { type ServiceFunction, statement } from './functions.ts';
import { type Permission, schedulePermissions } from './permissions.ts';
import type { Settings } from './settings.ts';

export interface SchedulesProps {
  readonly settings: Settings;
  readonly run: ServiceFunction;
  readonly reconcile: ServiceFunction;
  readonly deadLetterQueue: IQueue;
}

interface Shape {
  readonly description: string;
  readonly schedule: ScheduleExpression;
  readonly timeWindow: TimeWindow;
  /** What is left undone is done at the next time; a few tries are enough. */
  readonly retryAttempts: number;
  readonly maxEventAge: Duration;
}

export class Schedules extends Construct {
  /** Every row that the roles of the schedules have. */
  readonly permissions: readonly Permission[];

  constructor(scope: Construct, id: string, { settings, run, reconcile, deadLetterQueue }: SchedulesProps) {
    super(scope, id);
    const sweeps = this.start('Sweep', run, deadLetterQueue, {
      description: 'Starts a sweep of audit-backlog-remediation',
      schedule: ScheduleExpression.expression(settings.schedule, TimeZone.of(settings.timezone)),
      timeWindow:
        settings.flexibleWindowMinutes > 0
          ? TimeWindow.flexible(Duration.minutes(settings.flexibleWindowMinutes))
          : TimeWindow.off(),
      retryAttempts: 2,
      maxEventAge: Duration.hours(1),
    });
    const looks = this.start('Reconcile', reconcile, deadLetterQueue, {
      description: 'Looks after what audit-backlog-remediation stopped',
      schedule: ScheduleExpression.rate(Duration.minutes(5)),
      timeWindow: TimeWindow.off(),
      retryAttempts: 1,
      maxEventAge: Duration.minutes(5),
    });
    this.permissions = [...sweeps, ...looks];
  }

  private start(id: string, target: ServiceFunction, deadLetterQueue: IQueue, shape: Shape): readonly Permission[] {
    const { description, schedule, timeWindow, retryAttempts, maxEventAge } = shape;
    const rows = schedulePermissions(target.alias.functionArn, deadLetterQueue.queueArn);
    const role = new Role(this, `${id}Role`, {
      assumedBy: new ServicePrincipal('scheduler.amazonaws.com', {
        conditions: { StringEquals: { 'aws:SourceAccount': Stack.of(this).account } },
      }),
      description: `${description}; see docs/permissions.md`,
    });
    for (const row of rows) role.addToPolicy(statement(row));
    new Schedule(this, id, {
      description,
      schedule,
      timeWindow,
      // The scheduled time names the run: a second delivery is the same run.
      target: new LambdaInvoke(target.alias as IFunction, {
        input: ScheduleTargetInput.fromObject({ schema: 1, scheduledAt: ContextAttribute.scheduledTime }),
        role: role.withoutPolicyUpdates(),
        retryAttempts,
        maxEventAge,
        deadLetterQueue,
      }),
    });
    return rows;
  }
}
