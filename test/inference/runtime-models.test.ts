import { describe } from 'node:test'
import { openRuntime } from '../../inference/runtime/open.ts'
import { modelContract } from '../contracts/runtime-models.ts'

describe('models on wasm', () => modelContract((options) => openRuntime({ ...options, backend: 'wasm' })))
