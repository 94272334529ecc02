#!/usr/bin/env node
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

// In a clone the sources run as they are, nothing has to be built; the installed package holds the build only.
const source = new URL('../src/cli/main.ts', import.meta.url);
if (existsSync(fileURLToPath(source))) {
  await import('tsx');
  await import(source.href);
} else {
  await import(new URL('../dist/esm/cli/main.js', import.meta.url).href);
}
