/** What a simulated sweep really writes and sends, against what is documented, counted and queried. */
import { readFileSync } from 'node:fs';
import { EVENT_DETAILS, EVENTS_DOC, eventsDocument, RECORDS } from '../../lib/events-doc.ts';
import { EVENT_SOURCE } from '../../lib/hub-permissions.ts';
import { RECORD_COUNTS } from '../../lib/metrics.ts';
import { RECORD_QUERIES } from '../../lib/queries.ts';
import { messageFilter } from '../../simulator/logs/filter-pattern.ts';
import { type Deployed, demoPolicy, HOME, sweepUnder, synthesizedRoles } from '../simulator/iam-deployed.ts';

type Fields = Readonly<Record<string, unknown>>;
const at = (value: unknown, path: string): unknown =>
  path.split('.').reduce<unknown>((found, name) => (found as Fields | null | undefined)?.[name], value);

describe('a sweep whose stops are denied', () => {
  let done: Deployed;
  let messages: readonly string[];
  beforeAll(async () => {
    const policy = demoPolicy(60);
    // Without the permission to stop, restarts fail: that is what the alarm on them has to see.
    const roles = synthesizedRoles(policy).map((role) =>
      role.name === 'restart' ? { ...role, statements: role.statements.filter(({ sid }) => sid !== 'Stop') } : role,
    );
    done = await sweepUnder(roles, policy, 60);
    messages = done.service.news.logs.messages(HOME.accountId, HOME.region, '/audit-backlog/records');
  }, 120_000);

  it('writes records of the three documented kinds, and no field that is not documented', () => {
    const types = new Set<string>();
    for (const message of messages) {
      const record = JSON.parse(message) as { readonly type: keyof typeof RECORDS };
      types.add(record.type);
      expect(RECORDS[record.type].record.safeParse(record).error?.message).toBeUndefined();
    }
    expect([...types].sort()).toEqual(Object.keys(RECORDS).sort());
  });

  it('sends events of the three documented kinds, and no field that is not documented', () => {
    const types = new Set<string>();
    for (const { source, detailType, detail } of done.service.news.events.events) {
      types.add(detailType);
      expect(source).toBe(EVENT_SOURCE);
      const known = EVENT_DETAILS[detailType as keyof typeof EVENT_DETAILS];
      expect(known.detail.safeParse(detail).error?.message).toBeUndefined();
    }
    expect([...types].sort()).toEqual(Object.keys(EVENT_DETAILS).sort());
  });

  it('is counted by the metric filters: its failed restarts, and no machine that waits for capacity', () => {
    const counted = (name: keyof typeof RECORD_COUNTS) =>
      messages
        .filter(messageFilter(RECORD_COUNTS[name]))
        .filter((message) => (JSON.parse(message) as Fields).runId === done.report.runId);
    const failed = done.report.actions.filter(({ outcome }) => outcome?.result === 'restart-failed');
    expect(failed.length).toBeGreaterThan(0);
    expect(counted('restartsFailed')).toHaveLength(failed.length);
    expect(counted('awaitingCapacity')).toEqual([]);
  });

  it.each(Object.entries(RECORD_QUERIES))('has every field that the query %s asks for', (_, lines) => {
    const text = lines.join(' ').replaceAll(/"[^"]*"/g, ' ');
    const [, type] = /type = "(\w+)"/.exec(lines.join(' ')) ?? [];
    const records = messages.map((message) => JSON.parse(message)).filter((one) => !type || one.type === type);
    expect(records.length).toBeGreaterThan(0);
    const words =
      /^(filter|and|not|fields|sort|limit|stats|by|in|as|desc|asc|latest|count_distinct|instances|reason|next|\d+)$/;
    const paths = (text.match(/@?[A-Za-z][\w.]*/g) ?? []).filter((word) => !words.test(word) && !word.startsWith('@'));
    expect(paths.length).toBeGreaterThan(1);
    for (const path of paths) {
      const known = records.some((record) => at(record, path) !== undefined);
      expect([path, known]).toEqual([path, true]);
    }
  });
});

it('docs/events.md is what `node lib/events-doc.ts` writes', () => {
  expect(readFileSync(EVENTS_DOC, 'utf8')).toBe(eventsDocument());
});
