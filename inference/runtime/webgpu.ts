/** Of npm's `webgpu`: Dawn, as a Node addon. */
interface Dawn {
  create(flags: readonly string[]): Gpu
  readonly globals: object
}

interface Gpu {
  requestAdapter(): Promise<{ readonly info: Readonly<Record<string, unknown>> } | null>
}

/**
 * Gives this thread the `navigator.gpu` that tfjs looks for. Throws where npm's `webgpu` is not installed, or finds no
 * device.
 *
 * @param real whether a device that is computed in software counts as none
 */
export async function offerWebGpu(real: boolean): Promise<void> {
  // A variable, so that no tool asks for a package that is optional.
  const name = 'webgpu'
  const dawn: unknown = await import(name)
  if (!isDawn(dawn)) throw new Error('the package webgpu is of a version that is not known')
  const gpu = dawn.create([])
  const adapter = await gpu.requestAdapter()
  if (adapter === null) throw new Error('no WebGPU device was found')
  const about = ['vendor', 'architecture', 'device', 'description'].map((key) => String(adapter.info[key] ?? '')).join(' ')
  const software = adapter.info['isFallbackAdapter'] === true || /llvmpipe|lavapipe|swiftshader|software|basic render/i.test(about)
  if (real && software) throw new Error(`its device is software: ${about.trim()}`)
  Object.assign(globalThis, dawn.globals)
  Object.defineProperty(globalThis.navigator, 'gpu', { value: gpu, configurable: true })
}

/** Takes its device from a backend on WebGPU: whatever waits for it fails. */
export function loseDevice(backend: object): void {
  if ('device' in backend && isDevice(backend.device)) backend.device.destroy()
}

function isDevice(device: unknown): device is { destroy(): void } {
  return typeof device === 'object' && device !== null && 'destroy' in device && typeof device.destroy === 'function'
}

function isDawn(module: unknown): module is Dawn {
  return typeof module === 'object' && module !== null && 'create' in module && typeof module.create === 'function' && 'globals' in module
}
