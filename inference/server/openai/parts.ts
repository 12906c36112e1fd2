import type { Logger } from 'pino'
import type { ServedConfiguration } from '../../configuration.ts'
import type { PromptFingerprinter, TextRuntime } from '../../port.ts'
import type { NodeMetrics } from '../metrics.ts'
import type { ModelRoutes } from '../model-routes.ts'
import type { NodeLimits } from '../options.ts'

/** What the routes of the OpenAI API work with. */
export interface OpenaiParts extends ModelRoutes {
  readonly text: TextRuntime
  readonly configurationOf: (model: string) => ServedConfiguration
  /** Undefined where no prompt leaves an event. */
  readonly prompts: PromptFingerprinter | undefined
  readonly limits: NodeLimits
  readonly metrics: NodeMetrics
  readonly log: Logger
}
