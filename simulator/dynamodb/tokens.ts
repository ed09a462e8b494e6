/** Expressions as tokens, and the `#names` and `:values` that a request defines for them. */
import type { JsonObject } from '../core.ts';
import { reservedWords } from './reserved-words.ts';
import { checkValue, invalid, type Value } from './values.ts';

/** Where an attribute is: names and list indexes from the top of an item. */
export type Path = readonly (string | number)[];

/** What stands for names and values in the expressions of one request. Each one that is defined must be used. */
export class Placeholders {
  readonly #names: JsonObject;
  readonly #values: JsonObject;
  readonly #used = new Set<string>();

  constructor(names: JsonObject, values: JsonObject) {
    this.#names = names;
    this.#values = values;
    for (const value of Object.values(values)) checkValue(value);
  }

  name(placeholder: string): string {
    this.#used.add(placeholder);
    const name = this.#names[placeholder];
    if (typeof name === 'string') return name;
    return invalid(
      `Invalid expression: An expression attribute name used in the document path is not defined; attribute name: ${placeholder}`,
    );
  }

  value(placeholder: string): Value {
    this.#used.add(placeholder);
    const value = this.#values[placeholder];
    if (value !== undefined) return value as Value;
    return invalid(
      `Invalid expression: An expression attribute value used in expression is not defined; attribute value: ${placeholder}`,
    );
  }

  /** Refuses what no expression used, as DynamoDB does. */
  done(): void {
    for (const [kind, defined] of [
      ['ExpressionAttributeNames', this.#names],
      ['ExpressionAttributeValues', this.#values],
    ] as const) {
      const unused = Object.keys(defined).filter((key) => !this.#used.has(key));
      if (unused.length > 0) invalid(`Value provided in ${kind} unused in expressions: keys: {${unused.join(', ')}}`);
    }
  }
}

const token = /\s+|(#[A-Za-z0-9_]+|:[A-Za-z0-9_]+|[A-Za-z_][A-Za-z0-9_]*|[0-9]+|<>|<=|>=|[=<>(),.[\]+-])/y;

/** The tokens of one expression, read from left to right. */
export class Tokens {
  readonly #kind: string;
  readonly #text: string;
  readonly #tokens: string[] = [];
  #at = 0;

  /** @param kind For messages: `ConditionExpression`, `UpdateExpression`, ... */
  constructor(kind: string, text: string) {
    this.#kind = kind;
    this.#text = text;
    if (text.trim() === '') invalid(`Invalid ${kind}: The expression can not be empty;`);
    token.lastIndex = 0;
    while (token.lastIndex < text.length) {
      const from = token.lastIndex;
      const match = token.exec(text);
      if (!match)
        invalid(`Invalid ${kind}: Syntax error; token: "${text[from]}", near: "${text.slice(from, from + 20)}"`);
      else if (match[1]) this.#tokens.push(match[1]);
    }
  }

  /** The token `ahead` places from here; empty at the end. */
  peek(ahead = 0): string {
    return this.#tokens[this.#at + ahead] ?? '';
  }
  next(): string {
    const found = this.peek();
    this.#at++;
    return found;
  }
  /** Whether the next token is this word, in any case. */
  isWord(word: string): boolean {
    return this.peek().toUpperCase() === word;
  }
  /** Takes the token if it is the next one. */
  take(wanted: string): boolean {
    if (this.peek().toUpperCase() !== wanted.toUpperCase()) return false;
    this.#at++;
    return true;
  }
  expect(wanted: string): void {
    if (!this.take(wanted)) this.fail();
  }
  end(): void {
    if (this.peek() !== '') this.fail();
  }
  fail(): never {
    return invalid(
      `Invalid ${this.#kind}: Syntax error; token: "${this.peek() || '<EOF>'}", near: "${this.#text.slice(0, 80)}"`,
    );
  }

  /** An attribute: `name`, `#name`, `a.b[0].#c`. */
  path(placeholders: Placeholders): Path {
    const path: (string | number)[] = [this.#name(placeholders)];
    for (;;) {
      if (this.take('.')) path.push(this.#name(placeholders));
      else if (this.take('[')) {
        if (!/^[0-9]+$/.test(this.peek())) this.fail();
        path.push(Number(this.next()));
        this.expect(']');
      } else return path;
    }
  }

  #name(placeholders: Placeholders): string {
    const name = this.peek();
    if (name.startsWith('#')) return placeholders.name(this.next());
    if (!/^[A-Za-z_]/.test(name)) this.fail();
    if (reservedWords.has(name.toLowerCase())) {
      invalid(`Invalid ${this.#kind}: Attribute name is a reserved keyword; reserved keyword: ${name}`);
    }
    return this.next();
  }
}
