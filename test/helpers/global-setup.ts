import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { findTestServer, type TestServer } from './postgres-server.ts';
import { createEmbeddedTemplate, createTemplate, dropTemplate } from './test-database.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** A superuser's URL, or null for the embedded Postgres. */
    readonly postgresUrl: string | null;
    /** What each test file gets a copy of: a database with pgvector by its name, or a directory of the embedded Postgres. */
    readonly postgresTemplate: string;
  }
}

interface Shared {
  readonly server: TestServer;
  readonly template: string;
  users: number;
}

/** Across the projects of a run, which load this module each for itself. */
const holder = globalThis as { [key: symbol]: Promise<Shared> | undefined };
const KEY = Symbol.for('reembed.test-server');

async function start(): Promise<Shared> {
  const server = await findTestServer();
  try {
    if (server.url === undefined) {
      const template = await mkdtemp(join(tmpdir(), 'reembed-template-'));
      await createEmbeddedTemplate(template);
      return { server, template, users: 0 };
    }
    const template = `reembed_test_template_${process.pid}`;
    await createTemplate(server.url, template);
    return { server, template, users: 0 };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

async function stop({ server, template }: Shared): Promise<void> {
  await (server.url === undefined ? rm(template, { recursive: true }) : dropTemplate(server.url, template));
  await server.stop();
}

/** One server for all projects of a run, and the template that their test files clone. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  holder[KEY] ??= start();
  const shared = await holder[KEY];
  shared.users += 1;
  process.stderr.write(`${project.name}: ${shared.server.description}\n`);
  project.provide('postgresUrl', shared.server.url ?? null);
  project.provide('postgresTemplate', shared.template);
  return async () => {
    shared.users -= 1;
    if (shared.users > 0) return;
    holder[KEY] = undefined;
    await stop(shared);
  };
}
