import { execFile, execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** A file system of its own of a few MiB in memory, to be filled up. Needs the right to mount. */
export class SmallDisk {
  readonly #path: string
  readonly #onExit = (): void => void execFileSync('umount', ['-l', this.#path])

  private constructor(path: string) {
    this.#path = path
  }

  static async mount(path: string, bytes: number): Promise<SmallDisk> {
    mkdirSync(path, { recursive: true })
    await run('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', path])
    const disk = new SmallDisk(path)
    process.once('exit', disk.#onExit)
    return disk
  }

  /** Leaves no room for anybody. */
  fill(): void {
    const { bavail, bsize } = statfsSync(this.#path)
    const ballast = Buffer.alloc(bsize)
    for (let block = 0; block <= bavail; block++) {
      try {
        writeFileSync(this.#ballast, ballast, { flag: 'a' })
      } catch {
        return
      }
    }
  }

  free(): void {
    rmSync(this.#ballast, { force: true })
  }

  async unmount(): Promise<void> {
    process.off('exit', this.#onExit)
    await run('umount', ['-l', this.#path])
  }

  get #ballast(): string {
    return join(this.#path, 'ballast')
  }
}
