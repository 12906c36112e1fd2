import { assemble } from './assembler.ts'

/** A function in WebAssembly; of its numbers most are addresses in bytes. */
export type Kernel = (...numbers: number[]) => void

const pageBytes = 65_536

/**
 * Compiles one kernel. It comes without another for machines that lack SIMD: Node 22 asks for processors that have it.
 *
 * @param text of one function, see {@link assemble}
 * @returns opens the kernel on a memory of its own; the memory stays as long as it is
 */
export function kernelOf(text: string): (bytes: number) => { readonly kernel: Kernel; readonly memory: ArrayBuffer } {
  const module = new WebAssembly.Module(assemble(text))
  return (bytes) => {
    const pages = Math.ceil(bytes / pageBytes)
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages })
    const kernel = Object.values(new WebAssembly.Instance(module, { env: { memory } }).exports).find(isKernel)
    if (kernel === undefined) throw new SyntaxError('The text of a kernel has no function.')
    return { kernel, memory: memory.buffer }
  }
}

function isKernel(value: WebAssembly.ExportValue): value is Kernel {
  return typeof value === 'function'
}
