import type { Knex } from 'knex';
import knexConfig from '../../../knexfile.ts';

/** The repository's own knexfile with the migrations as they are built: without tsx a process starts in half the time. */
export default async function builtConfig(): Promise<Knex.Config> {
  const config = await knexConfig();
  return { ...config, migrations: { directory: './migrations', extension: 'js', loadExtensions: ['.js'] } };
}
