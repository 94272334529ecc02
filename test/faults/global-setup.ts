import type { TestProject } from 'vitest/node';
import { buildProject } from './harness/build-project.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** The directory of the built project; empty where nothing is run in it. */
    readonly builtProject: string;
  }
}

/** Builds the project once for all files: its processes start in a quarter of the time that the sources take. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const built = await buildProject();
  project.provide('builtProject', built.directory);
  return () => built.remove();
}
