import type { ConnectionSettings } from '../db/types.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';

type Settings = Omit<ConnectionSettings, 'embedded'>;

/**
 * The settings with knex's `searchPath` as a startup option, after those that are there; as in knex a string is one schema's name.
 * An `options` in the connection string would win over one beside it, so there it is added to the string's own.
 */
export function withSearchPath(settings: Settings, searchPath: string | readonly string[] | undefined): Settings {
  const schemas = typeof searchPath === 'string' ? [searchPath] : (searchPath ?? []);
  if (schemas.length === 0 || schemas[0] === '') return settings;
  // The server splits its options at spaces; a backslash keeps one.
  const option = `-c search_path=${schemas
    .map(quoteIdentifier)
    .join(',')
    .replace(/[\\\s]/g, '\\$&')}`;
  const { connectionString, options } = settings;
  const own = /([?&]options=)([^&#]+)/;
  if (connectionString !== undefined && own.test(connectionString)) {
    const merged = (_: string, key: string, value: string): string => `${key}${value}%20${encodeURIComponent(option)}`;
    return { ...settings, connectionString: connectionString.replace(own, merged) };
  }
  return { ...settings, options: options ? `${options} ${option}` : option };
}
