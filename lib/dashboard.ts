/** One dashboard with three questions: what is affected, what was done, what needs me. */
import { Duration } from 'aws-cdk-lib';
import {
  AlarmStatusWidget,
  Dashboard as CloudWatchDashboard,
  GraphWidget,
  type IAlarm,
  LogQueryVisualizationType,
  LogQueryWidget,
  SingleValueWidget,
  TextWidget,
} from 'aws-cdk-lib/aws-cloudwatch';
import type { ILogGroup } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { type RunCount, runCount } from './metrics.ts';
import { RECORD_QUERIES } from './queries.ts';

export interface DashboardProps {
  readonly alarms: readonly IAlarm[];
  readonly records: ILogGroup;
}

const WHOLE_WIDTH = 24;

export class Dashboard extends Construct {
  constructor(scope: Construct, id: string, { alarms, records }: DashboardProps) {
    super(scope, id);
    const hour = Duration.hours(1);
    const counts = (...names: RunCount[]) => names.map((name) => runCount(name, hour));
    const heading = (text: string) => new TextWidget({ markdown: `## ${text}`, width: WHOLE_WIDTH, height: 1 });
    const table = (title: keyof typeof RECORD_QUERIES) =>
      new LogQueryWidget({
        title,
        logGroupNames: [records.logGroupName],
        view: LogQueryVisualizationType.TABLE,
        queryLines: [...RECORD_QUERIES[title]],
        width: WHOLE_WIDTH,
        height: 7,
      });
    new CloudWatchDashboard(this, 'Dashboard', {
      defaultInterval: Duration.days(7),
      widgets: [
        [heading('What is affected')],
        [
          new SingleValueWidget({
            title: 'Last sweep',
            metrics: counts('instances', 'affected', 'unknown'),
            width: 8,
            height: 6,
          }),
          new GraphWidget({ title: 'Affected and unknown', left: counts('affected', 'unknown'), width: 16, height: 6 }),
        ],
        [table('Affected by image and kernel')],
        [heading('What was done')],
        [
          new GraphWidget({
            title: 'Cures',
            left: counts('resized', 'restarted', 'failed'),
            stacked: true,
            width: 12,
            height: 6,
          }),
          new GraphWidget({
            title: 'Not acted on',
            left: counts('deferred', 'left'),
            stacked: true,
            width: 12,
            height: 6,
          }),
        ],
        [table('Sweeps and their totals')],
        [heading('What needs me')],
        [new AlarmStatusWidget({ title: 'Alarms', alarms: [...alarms], width: WHOLE_WIDTH, height: 4 })],
        [table('What needs me')],
        [table('Why instances are left alone')],
        [
          new GraphWidget({
            title: 'Health of the service',
            left: counts('incomplete', 'breakersOpen'),
            right: counts('throttled'),
            width: WHOLE_WIDTH,
            height: 5,
          }),
        ],
      ],
    });
  }
}
