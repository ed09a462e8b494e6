/** EC2's filters: values of one filter are alternatives, filters are all required, `*` and `?` are wildcards. */
import { type ApiCall, ApiError, notModelled } from '../core.ts';
import { Parameters } from '../parameters.ts';

/** The values that one item offers to a filter; a filter matches where any of them does. */
export type Offers<T> = (item: T, tagKey: string) => readonly string[];
/** Filters that an action knows, by name; `tag:` stands for `tag:KEY`. */
export type FilterTable<T> = Readonly<Record<string, Offers<T>>>;

/** Documented limit of values in one call. */
const MAX_VALUES = 200;

/** Reads `Filter.N` and returns the test, and whether there was any filter. @throws ApiError on what it does not know. */
export function readFilters<T>(
  call: ApiCall,
  parameters: Parameters,
  table: FilterTable<T>,
): { readonly any: boolean; readonly matches: (item: T) => boolean } {
  const filters = parameters.objects('Filter').map((raw) => {
    const filter = new Parameters(call, raw);
    const name = filter.required('Name');
    const values = filter.strings('Value');
    filter.done();
    if (values.length === 0) {
      throw new ApiError('InvalidParameterValue', `The filter '${name}' must have at least one value.`);
    }
    const isTag = name.startsWith('tag:');
    const offers = Object.hasOwn(table, isTag ? 'tag:' : name) ? table[isTag ? 'tag:' : name] : undefined;
    if (offers === undefined) return notModelled(call, `filter ${name}`);
    const patterns = values.map(pattern);
    const key = isTag ? name.slice('tag:'.length) : '';
    return { count: values.length, test: (item: T) => offers(item, key).some((v) => patterns.some((p) => p.test(v))) };
  });
  if (filters.reduce((sum, filter) => sum + filter.count, 0) > MAX_VALUES) {
    throw new ApiError(
      'FilterLimitExceeded',
      `The maximum number of filter values specified on a single call is ${MAX_VALUES}`,
    );
  }
  return { any: filters.length > 0, matches: (item) => filters.every((filter) => filter.test(item)) };
}

/** A filter value as a regular expression: `\` escapes, `*` is any text, `?` any one character; case matters. */
function pattern(value: string): RegExp {
  const quoted = [...value.matchAll(/\\[\\*?]|[\s\S]/g)].map(([token]) => {
    if (token === '*') return '[\\s\\S]*';
    if (token === '?') return '[\\s\\S]';
    return (token.length === 2 ? token.slice(1) : token).replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
  });
  return new RegExp(`^${quoted.join('')}$`);
}
