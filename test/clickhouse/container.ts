import { GenericContainer, getContainerRuntimeClient, Wait } from 'testcontainers'
import { until } from '../bus/until.ts'
import type { ClickHouseServer } from './server.ts'

const image = 'clickhouse/clickhouse-server'

/** The official server in a container, at a fixed port; null where Docker does not answer or does not have the image. */
export async function startContainer(port: number): Promise<ClickHouseServer | null> {
  const tag = await localImage()
  if (tag === null) return null
  // Without the file limit that the image's own module asks for: not every host grants it.
  const started = await new GenericContainer(tag)
    .withExposedPorts({ container: 8123, host: port })
    .withEnvironment({ CLICKHOUSE_SKIP_USER_SETUP: '1' })
    .withWaitStrategy(Wait.forHttp('/ping', 8123))
    .withStartupTimeout(120_000)
    .start()
  const docker = (await getContainerRuntimeClient()).container.dockerode.getContainer(started.getId())
  const url = `http://127.0.0.1:${port}`
  return {
    url,
    origin: `container ${tag}`,
    kill: async () => void (await docker.kill({ signal: 'SIGKILL' })),
    pause: async () => void (await docker.pause()),
    resume: async () => void (await docker.unpause()),
    restart: async () => {
      if ((await docker.inspect()).State.Running) await docker.kill({ signal: 'SIGKILL' })
      await docker.start()
      await until(
        'the container answers',
        () =>
          fetch(`${url}/ping`).then(
            ({ ok }) => ok,
            () => false,
          ),
        60_000,
      )
    },
    stop: async () => void (await started.stop()),
  }
}

async function localImage(): Promise<string | null> {
  try {
    const { container } = await getContainerRuntimeClient()
    const found = await container.dockerode.listImages({ filters: { reference: [image] } })
    return found.flatMap(({ RepoTags }) => RepoTags ?? [])[0] ?? null
  } catch {
    return null
  }
}
