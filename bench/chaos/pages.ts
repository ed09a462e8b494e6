/** Everything that left the service, as its readers would see it. */
import type { SimulatedService } from '../../cli/simulated-service.ts';
import type { RunReport } from '../../domain/contracts.ts';
import type { EmbeddedInstance } from '../../simulator/ec2/instance.ts';

interface Page {
  readonly where: string;
  readonly text: string;
}

/** All texts in a value, at any depth, keys included. */
function textsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  if (Array.isArray(value)) return value.flatMap(textsIn);
  if (typeof value === 'object' && value !== null) {
    return Object.entries(value).flatMap(([key, inner]) => [key, ...textsIn(inner)]);
  }
  return [];
}

/** Messages, events, log records, reports and tags: each text once escapes of JSON are resolved. */
export function pagesOf(
  { news, deployment }: SimulatedService,
  reports: readonly RunReport[],
  instances: readonly EmbeddedInstance[],
): readonly Page[] {
  const page = (where: string, texts: readonly string[]): Page => ({ where, text: texts.join('\n') });
  return [
    ...news.sns.messages.map((m) => page('a notification', [m.subject ?? '', m.message])),
    ...news.events.events.map((event) => page('an event', textsIn(event))),
    ...news.logs
      .messages(deployment.home.accountId, deployment.home.region, deployment.logGroupName)
      .map((message) => page('a log record', textsIn(JSON.parse(message)))),
    ...reports.map((report) => page('a report', textsIn(report))),
    ...instances.map((instance) => page('a tag', [...instance.tags].flat())),
  ];
}
