import { openRuntime } from '../../inference/runtime/open.ts'
import { runtimeContract } from '../contracts/runtime.ts'

// Needs scripts/setup-tensorflow.sh; fails without it, since a skipped test would say that the backend works.
runtimeContract('tensorflow', (options) => openRuntime({ ...options, backend: 'tensorflow' }))
