import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { messageOf } from '../errors.ts';
import { shown } from './problems.ts';

/** Variables by name, as `process.env` holds them. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** A schema for one variable: undefined when it is not set. */
export type EnvValue<T> = z.ZodType<T | undefined, unknown>;

const UNIT_MS: Readonly<Record<string, number>> = { '': 1000, ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** `read` gives undefined for a text that it does not understand; an empty variable counts as unset. */
export function envValue<T>(what: string, read: (text: string) => T | undefined, secret = false): EnvValue<T> {
  return z
    .unknown()
    .optional()
    .transform((raw, ctx): T | undefined => {
      const text = typeof raw === 'string' ? raw.trim() : '';
      if (text === '') return undefined;
      const value = read(text);
      if (value !== undefined) return value;
      ctx.addIssue({ code: 'custom', message: `is ${secret ? 'not understood' : shown(text)}, expected ${what}` });
      return z.NEVER;
    });
}

export function envText(what = 'a text'): EnvValue<string> {
  return envValue(what, (text) => text);
}

export function envWhole(min: number, max: number): EnvValue<number> {
  return envValue(`a whole number from ${min} to ${max}`, (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    return value >= min && value <= max ? value : undefined;
  });
}

export function envOneOf<const T extends readonly string[]>(...values: T): EnvValue<T[number]> {
  const what = values.map((value) => `'${value}'`).join(' or ');
  return envValue(what, (text) => values.find((value) => value === text.toLowerCase()));
}

/** What a timer of Node takes at most; a longer one would go off at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** A length of time in milliseconds: `90` and `90s` are seconds, `500ms`, `10m`, `2h`. */
export function envDuration(): EnvValue<number> {
  return envValue(DURATION_EXPECTED, parseDuration);
}

export const DURATION_EXPECTED = 'a time such as 90, 30s, 10m or 2h, of at most 596h';

/** Milliseconds; seconds where no unit is given. Undefined for anything that is no time. */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|)$/i.exec(text);
  const unit = UNIT_MS[match?.[2]?.toLowerCase() ?? ''];
  const value = Math.round(Number(match?.[1]) * (unit ?? Number.NaN));
  return value > 0 && value <= LONGEST_TIMER_MS ? value : undefined;
}

/** The same, or `off`. */
export function envOrOff<T>(schema: EnvValue<T>): EnvValue<T | 'off'> {
  return z
    .unknown()
    .optional()
    .transform((raw, ctx): T | 'off' | undefined => {
      if (typeof raw === 'string' && raw.trim().toLowerCase() === 'off') return 'off';
      const parsed = schema.safeParse(raw);
      if (parsed.success) return parsed.data;
      for (const issue of parsed.error.issues) ctx.addIssue({ code: 'custom', message: `${issue.message}, or 'off'` });
      return z.NEVER;
    });
}

/** A number that may have a fraction: dollars, prices. */
export function envNumber(min: number, max: number): EnvValue<number> {
  return envValue(`a number from ${min} to ${max}`, (text) => {
    const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
    return value >= min && value <= max ? value : undefined;
  });
}

/** `1`, `true`, `yes`, `on`, and what says no. */
export function envFlag(): EnvValue<boolean> {
  return envValue("'1' or '0'", (text) => {
    if (/^(1|true|yes|on)$/i.test(text)) return true;
    return /^(0|false|no|off)$/i.test(text) ? false : undefined;
  });
}

/** An http or https URL without a user in it; its text is never part of a message, because people put keys there. */
export function envUrl(): EnvValue<string> {
  return envValue(
    'a URL such as https://host/v1, without user and password',
    (text) => {
      if (!URL.canParse(text)) return undefined;
      const { protocol, username, password } = new URL(text);
      return /^https?:$/.test(protocol) && username === '' && password === '' ? text.replace(/\/+$/, '') : undefined;
    },
    true,
  );
}

/** A file that holds a key; the value is its contents. Read at once, so that a wrong path is told with all other problems. */
export function envKeyFile(): EnvValue<string> {
  return envText('a file').transform((path, ctx): string | undefined => {
    if (path === undefined) return undefined;
    const problem = (message: string): typeof z.NEVER => {
      ctx.addIssue({ code: 'custom', message: `is ${shown(path)}, expected a file with a key: ${message}` });
      return z.NEVER;
    };
    try {
      return readFileSync(path, 'utf8').trim() || problem('it is empty');
    } catch (error) {
      return problem(messageOf(error));
    }
  });
}

/** A size in bytes: `8388608`, `512kB`, `8MB`; powers of 1024, as Postgres reads its own settings. */
export function envBytes(min: number, max: number): EnvValue<number> {
  return envValue(`a size from ${min} to ${max} bytes, such as 8388608 or 8MB`, (text) => {
    const match = /^(\d+)\s*(kB|MB|GB|TB|)$/i.exec(text);
    const power = ['', 'kb', 'mb', 'gb', 'tb'].indexOf(match?.[2]?.toLowerCase() ?? '');
    const value = Number(match?.[1]) * 1024 ** power;
    return value >= min && value <= max ? value : undefined;
  });
}

/** A Postgres URL. Its text is never part of a message: it may hold a password. */
export function envPostgresUrl(...words: readonly string[]): EnvValue<string> {
  const what = [...words.map((word) => `'${word}'`), 'a URL such as postgres://user:password@host:5432/database'];
  return envValue(
    what.join(' or '),
    (text) => {
      if (words.includes(text)) return text;
      return /^postgres(ql)?:\/\//.test(text) && URL.canParse(text) ? text : undefined;
    },
    true,
  );
}
