import type { View } from '../../bus/view.ts'
import type { ResponderPorts } from '../../responders/contract.ts'
import type { Model } from '../../schemas/index.ts'

/** The `models` port over a view of the `models` topic. */
export function modelsOf(view: Pick<View<Model>, 'get'>): ResponderPorts['models'] {
  return {
    lastGood: async (name) => {
      const model = view.get(name)
      return model === undefined ? null : lastGoodOf(model)
    },
  }
}

/** The newest good version before the current one; versions are listed newest last. Null when there is none. */
export function lastGoodOf(model: Model): string | null {
  const current = model.versions.findIndex(({ version }) => version === model.current)
  const before = current === -1 ? model.versions : model.versions.slice(0, current)
  return before.findLast(({ good }) => good)?.version ?? null
}
