import type { View } from '../../bus/view.ts'
import type { InstanceView } from '../../console/port.ts'
import { type Heartbeat, heartbeatKey, type Instant, isAlive } from '../../schemas/index.ts'

/** How long an instance that stopped, or fell silent, is still spoken of. */
const rememberedMs = 3_600_000

/** Every process that was heard of. */
export interface Instances {
  /** By role and name: those alive, and those that ended within the last hour. */
  list(): readonly InstanceView[]
  /** Names of the inference nodes that are alive, as their acknowledgements give them. */
  liveNodes(): readonly string[]
  /** Milliseconds since all that was said has certainly been heard. */
  staleMs(): number
  close(): void
}

interface Heard {
  readonly heartbeat: Heartbeat
  /** By our clock. */
  readonly at: Instant
}

/**
 * Watches heartbeats. Who is alive is judged by when a heartbeat came, by this process's clock, since that of its
 * writer may be off; of what was said before we listened only the writer's time is known. While the bus does not
 * answer nobody is declared gone for it.
 */
export function watchInstances(heartbeats: View<Heartbeat>, clock: () => Instant): Instances {
  const heard = new Map<string, Heard>()
  for (const heartbeat of heartbeats.values()) heard.set(heartbeatKey(heartbeat), { heartbeat, at: Math.min(heartbeat.at, clock()) })
  const stop = heartbeats.onChange((key, heartbeat) => {
    if (heartbeat === undefined) heard.delete(key)
    else heard.set(key, { heartbeat, at: clock() })
  })
  const list = (): InstanceView[] => {
    const now = clock()
    const asOf = now - Math.min(heartbeats.staleMs(), now)
    const found: InstanceView[] = []
    for (const [key, { heartbeat, at }] of heard) {
      const alive = isAlive({ ...heartbeat, at }, asOf)
      if (!alive && now - at > rememberedMs) heard.delete(key)
      else found.push({ ...heartbeat, alive, heardAt: at })
    }
    return found.sort((a, b) => order(a, b))
  }
  return {
    list,
    liveNodes: () => list().flatMap((instance) => (instance.role === 'node' && instance.alive ? [nodeOf(instance)] : [])),
    staleMs: () => heartbeats.staleMs(),
    close: stop,
  }
}

function order(a: Heartbeat, b: Heartbeat): number {
  return a.role === b.role ? (a.instance < b.instance ? -1 : 1) : a.role < b.role ? -1 : 1
}

/** A node's name in events, which need not be its process's. */
function nodeOf({ instance, detail }: Heartbeat): string {
  return typeof detail.node === 'string' ? detail.node : instance
}
