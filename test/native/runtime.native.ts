import { describe } from 'node:test'
import { openRuntime } from '../../inference/runtime/open.ts'
import { runtimeContract } from '../contracts/runtime.ts'
import { modelContract } from '../contracts/runtime-models.ts'

// Needs scripts/setup-tensorflow.sh; fails without it, since a skipped test would say that the backend works.
runtimeContract('tensorflow', (options) => openRuntime({ ...options, backend: 'tensorflow' }))
describe('models on tensorflow', () => modelContract((options) => openRuntime({ ...options, backend: 'tensorflow' })))
