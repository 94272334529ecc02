import { spawnSync } from 'node:child_process';

export interface DockerServer {
  readonly url: string;
  stop(): Promise<void>;
}

const IMAGE = process.env.REEMBED_TEST_IMAGE ?? 'pgvector/pgvector:pg18';

export function hasDocker(): boolean {
  return spawnSync('docker', ['info'], { stdio: 'ignore', timeout: 10_000 }).status === 0;
}

/** pgvector's own image through testcontainers, for those who have a Docker engine. */
export async function startDockerServer(): Promise<DockerServer> {
  const { GenericContainer, Wait } = await import('testcontainers');
  const container = await new GenericContainer(IMAGE)
    .withEnvironment({ POSTGRES_HOST_AUTH_METHOD: 'trust' })
    .withExposedPorts(5432)
    // The image's entry point starts the server twice: the first one only initialises.
    .withWaitStrategy(Wait.forLogMessage(/ready to accept connections/, 2))
    .start();
  return {
    url: `postgresql://postgres@${container.getHost()}:${container.getMappedPort(5432)}/postgres`,
    async stop() {
      await container.stop();
    },
  };
}
