import type { InstanceView, RoleStatus } from '../../console/port.ts'
import type { Instant, RoleName } from '../../schemas/index.ts'

/** How many records may wait before a role is said to fall behind. */
const behindRecords = 50_000

/**
 * How a role does, from what its processes said. It is well where at least one is alive, each of those says that it is
 * well, and they agree on what they must agree on. Who is gone is named, for an hour: another may have taken its place.
 *
 * @param all processes of every role
 * @param behind records that wait for the role, in all
 */
export function roleStatus(role: RoleName, all: readonly InstanceView[], now: Instant, behind: number): RoleStatus {
  const own = all.filter((instance) => instance.role === role)
  const live = own.filter(({ alive }) => alive)
  const gone = own.filter(({ alive, state }) => !alive && state !== 'stopped')
  const stopped = own.filter(({ state }) => state === 'stopped')
  const faults = faultsOf(live, behind)
  const parts = [
    ...(live.length === 0 ? ['no process of this role is running'] : faults),
    ...(live.length > 0 && faults.length === 0 ? [wellBeing(live)] : []),
    ...(gone.length === 0
      ? []
      : [`gone: ${gone.map((instance) => `${instance.instance}, last heard ${ago(now - instance.heardAt)}`).join('; ')}`]),
    ...(live.length > 0 || stopped.length === 0
      ? []
      : [`stopped: ${stopped.map(({ instance, heardAt }) => `${instance} ${ago(now - heardAt)}`).join('; ')}`]),
  ]
  const [only] = live
  return {
    role,
    ok: live.length > 0 && faults.length === 0,
    summary: parts.join('; '),
    detail: {
      live: live.map(({ instance }) => instance),
      gone: gone.map(({ instance }) => instance),
      stopped: stopped.map(({ instance }) => instance),
      ...(live.length === 1 ? only?.detail : {}),
    },
  }
}

function wellBeing(live: readonly InstanceView[]): string {
  const [only] = live
  if (live.length === 1 && only !== undefined) return only.summary
  const owned = live.flatMap(({ assignments }) => assignments.filter(({ standby }) => !standby))
  return owned.length === 0 ? `${live.length} processes` : `${live.length} processes, ${owned.length} partitions`
}

function faultsOf(live: readonly InstanceView[], behind: number): string[] {
  const faults = live.filter(({ ok }) => !ok).map(({ instance, summary }) => (live.length === 1 ? summary : `${instance}: ${summary}`))
  if (live.length > 0 && behind >= behindRecords) faults.push(`${behind} records behind`)
  const digests = byFingerprintKey(live)
  if (digests.size > 1) {
    const who = [...digests].map(([digest, instances]) => `${instances.join(', ')} ${digest.slice(0, 8)}`).join('; ')
    faults.push(`nodes have different fingerprint keys, so what they see cannot be compared: ${who}; give all the same secretsFile`)
  }
  return faults
}

function byFingerprintKey(live: readonly InstanceView[]): ReadonlyMap<string, string[]> {
  const digests = new Map<string, string[]>()
  for (const { instance, fingerprintKey } of live) {
    if (fingerprintKey !== null) digests.set(fingerprintKey, [...(digests.get(fingerprintKey) ?? []), instance])
  }
  return digests
}

function ago(ms: number): string {
  if (ms < 120_000) return `${Math.max(0, Math.round(ms / 1_000))} s ago`
  return `${Math.round(ms / 60_000)} min ago`
}
