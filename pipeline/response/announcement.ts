import type { Heartbeat, Instant, Model } from '../../schemas/index.ts'

type Version = Model['versions'][number]

/** What a node that is silent for longer serves is not known any more. */
const silentMs = 60 * 60 * 1_000
/** As many as a model's record holds. */
const maxVersions = 256

/**
 * The models as they are to be on record, by what the nodes say that they serve: those that change. Pure. A new model
 * serves its newest version; a known one goes on serving what it serves, for as long as a node has it. Versions are
 * listed newest last, in the nodes' own order; one is forgotten when no node that was heard of lately has it.
 */
export function announcement(known: (name: string) => Model | undefined, heartbeats: Iterable<Heartbeat>, now: Instant): readonly Model[] {
  const lists = new Map<string, Version[][]>()
  const nodes = [...heartbeats].filter(({ role, at }) => role === 'node' && now - at <= silentMs)
  for (const { models } of nodes.sort((a, b) => (a.instance < b.instance ? -1 : 1))) {
    for (const [name, served] of Map.groupBy(models, (model) => model.name)) {
      const versions = served.map(({ version, digest }) => ({ version, digest, good: true }))
      lists.set(name, [...(lists.get(name) ?? []), versions])
    }
  }
  return [...lists].flatMap(([name, served]) => {
    const before = known(name)
    const model = merged(name, before, served)
    return JSON.stringify(model) === JSON.stringify(before) ? [] : [model]
  })
}

function merged(name: string, known: Model | undefined, lists: readonly (readonly Version[])[]): Model {
  const versions: Version[] = (known?.versions ?? []).flatMap((version) => {
    const said = lists.flatMap((list) => list.filter((one) => one.version === version.version))
    if (said.length === 0) return []
    // Two nodes with different files are for the detectors; the record does not waver between them.
    const digest = said.some((one) => one.digest === version.digest) ? version.digest : (said[0]?.digest ?? version.digest)
    return [{ ...version, digest }]
  })
  for (const list of lists) insert(versions, list)
  const kept = versions.slice(-maxVersions)
  const current = kept.some(({ version }) => version === known?.current) ? known?.current : kept.at(-1)?.version
  return { name, current: current ?? '', versions: kept }
}

/** Puts what is missing before what follows it in the list, or last. */
function insert(versions: Version[], list: readonly Version[]): void {
  const placeOf = (version: string) => versions.findIndex((one) => one.version === version)
  list.forEach((version, index) => {
    if (placeOf(version.version) !== -1) return
    const next = list.slice(index + 1).find((one) => placeOf(one.version) !== -1)
    versions.splice(next === undefined ? versions.length : placeOf(next.version), 0, version)
  })
}
