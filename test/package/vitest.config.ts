import { defineConfig } from 'vitest/config';

// Apart from `npm test`: these need the build, pack it, and install the tarball as a user does.
export default defineConfig({
  test: {
    name: 'package',
    include: ['test/package/**/*.test.ts'],
    testTimeout: 180_000,
    hookTimeout: 180_000,
  },
});
