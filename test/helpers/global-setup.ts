import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { findTestServer } from './postgres-server.ts';
import { createEmbeddedTemplate, createTemplate, dropTemplate } from './test-database.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** A superuser's URL, or null for the embedded Postgres. */
    readonly postgresUrl: string | null;
    /** What each test file gets a copy of: a database with pgvector by its name, or a file of the embedded Postgres. */
    readonly postgresTemplate: string;
  }
}

/** One server for the whole project, and the template that its test files clone. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await findTestServer();
  process.stderr.write(`${project.name}: ${server.description}\n`);
  const name = `reembed_test_template_${process.pid}_${project.name}`;
  const template = server.url === undefined ? join(tmpdir(), `${name}.tar`) : name;
  project.provide('postgresUrl', server.url ?? null);
  project.provide('postgresTemplate', template);
  try {
    await (server.url === undefined ? createEmbeddedTemplate(template) : createTemplate(server.url, template));
  } catch (error) {
    await server.stop();
    throw error;
  }
  return async () => {
    await (server.url === undefined ? rm(template, { force: true }) : dropTemplate(server.url, template));
    await server.stop();
  };
}
