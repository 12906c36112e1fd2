import { assemble } from './assembler.ts'

/** A function in WebAssembly; of its numbers most are addresses in bytes. */
export type Kernel = (...numbers: number[]) => void

const pageBytes = 65_536

/** Zeros. The system gives what is written to, and the rest costs addresses alone. */
export function memoryOf(bytes: number): WebAssembly.Memory {
  const pages = Math.ceil(bytes / pageBytes)
  return new WebAssembly.Memory({ initial: pages, maximum: pages })
}

/**
 * Compiles one kernel. It comes without another for machines that lack SIMD: Node 22 asks for processors that have it.
 *
 * @param text of one function, see {@link assemble}
 * @returns opens the kernel on a memory, which stays as long as the kernel does
 */
export function kernelOf(text: string): (memory: WebAssembly.Memory) => Kernel {
  const module = new WebAssembly.Module(assemble(text))
  return (memory) => {
    const kernel = Object.values(new WebAssembly.Instance(module, { env: { memory } }).exports).find(isKernel)
    if (kernel === undefined) throw new SyntaxError('The text of a kernel has no function.')
    return kernel
  }
}

function isKernel(value: WebAssembly.ExportValue): value is Kernel {
  return typeof value === 'function'
}
