import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { LogScan } from './log-scan.ts'
import { type Order, partsOf, type Ready, type Recorded, type Report, secrets } from './orders.ts'

const child = fileURLToPath(new URL('./child.ts', import.meta.url))

/** The node that is attacked, in a process of its own. */
export interface Attacked extends Ready {
  readonly log: LogScan
  /** What must be seen nowhere. */
  readonly hidden: readonly string[]
  ask(): Promise<Report>
  stop(): Promise<void>
}

/** @param onRecorded called with what the node wrote down of requests */
export async function startNode(onRecorded: (recorded: Recorded['recorded']) => void): Promise<Attacked> {
  const process = fork(child, {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    execArgv: ['--max-old-space-size=256', '--max-semi-space-size=8'],
  })
  const logs = [process.stdout, process.stderr].map((stream) => {
    const log = new LogScan()
    stream?.setEncoding('utf8').on('data', (text: string) => log.read(text))
    return log
  })
  const log = LogScan.of(logs)
  const exited = once(process, 'exit')
  const said = replies(process, onRecorded)
  const hear = async <T>(): Promise<T> =>
    Promise.race([
      said() as Promise<T>,
      exited.then(([code, signal]) => Promise.reject(new Error(`the node ended with ${code ?? signal}:\n${log.tail}`))),
    ])
  const ready = await hear<Ready>()
  const hidden = [...partsOf(ready.hostile), ...partsOf(ready.ordinary), ...secrets]
  log.hide(hidden)
  return {
    ...{ ...ready, log, hidden },
    ask: () => {
      process.send('report' satisfies Order)
      return hear<Report>()
    },
    stop: async () => {
      if (process.exitCode !== null || process.signalCode !== null) return
      process.send('close' satisfies Order)
      const timer = setTimeout(() => process.kill('SIGKILL'), 15_000)
      await exited
      clearTimeout(timer)
    },
  }
}

/** Tells what a node says unasked from what it answers. @returns what waits for the next answer */
function replies(process: NodeJS.EventEmitter, onRecorded: (recorded: Recorded['recorded']) => void): () => Promise<unknown> {
  let heard = Promise.withResolvers<unknown>()
  process.on('message', (message: object) => {
    if ('recorded' in message) return onRecorded(message.recorded as Recorded['recorded'])
    heard.resolve(message)
    heard = Promise.withResolvers()
  })
  return () => heard.promise
}
