import { inspect } from 'node:util';

const REDACTED = '[redacted]';

/** A key or token. However it is printed, logged or turned into JSON, its value does not show; only `reveal` gives it. */
export class Secret {
  readonly #value: string;
  /** Where it came from, e.g. `OPENAI_API_KEY`; for messages. */
  readonly source: string;

  constructor(value: string, source: string) {
    this.#value = value;
    this.source = source;
  }

  /** The value itself: for a request's header, and nothing else. */
  reveal(): string {
    return this.#value;
  }

  /** `text` without the value, wherever it stands in it: a server's answer may repeat what it was sent. */
  redactFrom(text: string): string {
    return this.#value === '' ? text : text.replaceAll(this.#value, REDACTED);
  }

  toString(): string {
    return REDACTED;
  }

  toJSON(): string {
    return REDACTED;
  }

  [inspect.custom](): string {
    return `Secret(${this.source})`;
  }
}
