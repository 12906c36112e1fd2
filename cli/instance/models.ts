import { encode, newEvent } from '../../bus/codec.ts'
import type { EventBus } from '../../bus/port.ts'
import type { View } from '../../bus/view.ts'
import type { ModelInfo } from '../../inference/port.ts'
import type { Instant, Model } from '../../schemas/index.ts'

/**
 * Tells the log of models and versions that the node has and the log does not know. A new model serves its newest version; a
 * known one goes on serving what it serves.
 */
export async function announceModels(
  bus: EventBus,
  view: View<Model>,
  loaded: readonly ModelInfo[],
  source: string,
  now: Instant,
): Promise<void> {
  const changes: Model[] = []
  for (const name of new Set(loaded.map((info) => info.name))) {
    const infos = loaded.filter((info) => info.name === name)
    const known = view.get(name)
    const versions = infos.map((info) => ({
      version: info.version,
      digest: info.digest,
      good: known?.versions.find((v) => v.version === info.version)?.good ?? true,
    }))
    const newest = versions.at(-1)
    if (newest === undefined) continue
    const current = versions.some((v) => v.version === known?.current) ? (known?.current ?? newest.version) : newest.version
    const model: Model = { name, current, versions }
    if (JSON.stringify(model) !== JSON.stringify(known)) changes.push(model)
  }
  if (changes.length > 0) await bus.publish(changes.map((model) => encode('models', newEvent('model', model, source, now))))
}
