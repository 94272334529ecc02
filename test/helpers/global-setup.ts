import type { TestProject } from 'vitest/node';
import { findTestServer } from './postgres-server.ts';
import { createTemplate, dropTemplate } from './test-database.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** A superuser's URL, or null for the embedded Postgres. */
    readonly postgresUrl: string | null;
    /** The database with pgvector that each test file gets a copy of. */
    readonly postgresTemplate: string;
  }
}

/** One server for the whole project, and the template that its test files clone. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await findTestServer();
  process.stderr.write(`${project.name}: ${server.description}\n`);
  const template = `reembed_test_template_${process.pid}_${project.name}`;
  project.provide('postgresUrl', server.url ?? null);
  project.provide('postgresTemplate', template);
  try {
    if (server.url !== undefined) await createTemplate(server.url, template);
  } catch (error) {
    await server.stop();
    throw error;
  }
  return async () => {
    if (server.url !== undefined) await dropTemplate(server.url, template);
    await server.stop();
  };
}
