import { releaseStaleLock } from 'reembed/migrations';

// A function, because knex looks at its lock before any migration's code runs: what a killed run left is freed here.
export default async () => {
  const connection = process.env.DATABASE_URL;
  await releaseStaleLock({ connection: { connectionString: connection } });
  return { client: 'pg', connection, migrations: { directory: './migrations' } };
};
