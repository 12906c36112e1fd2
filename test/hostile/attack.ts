import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ordinaryInfer } from './bodies.ts'
import { limits, type Order, type Ready, type Report, secrets } from './orders.ts'
import { Random } from './random.ts'
import { type Shot, shotOf } from './shots.ts'

const child = fileURLToPath(new URL('./child.ts', import.meta.url))
/** Connections at once. */
const abreast = 160
/** Whatever a client does, its connection has ended by then: the longest of the node's bounds, and a slow machine. */
const boundMs = 20_000
/** An ordinary request each so many hostile ones. */
const betweenRequests = 1_000
const warmRequests = 10_000
const mebibyte = 1_048_576
/**
 * What resident memory may grow by from the first ten thousand requests on: the budget of bodies (128 MiB), the young generation and
 * what V8 leaves lying before it collects (heap bound: 256 MiB), and fragments of the allocator. A leak of a kilobyte a request would be
 * 100 MiB over the whole attack, and one of a connection's buffers far more; the heap itself is held closer, uncollected garbage included.
 */
const growthBytes = 256 * mebibyte
const heapGrowthBytes = 128 * mebibyte

export interface Attack {
  readonly requests: number
  readonly seed: number
}

/** What the node answered, how often which status, and what it kept. */
export interface Outcome {
  readonly tally: ReadonlyMap<number, number>
  /** By how much resident memory and heap grew, bytes. */
  readonly grown: { readonly rss: number; readonly heapUsed: number }
}

/** Sends so many hostile requests to a node in a process of its own, and holds it to all that is asserted below. */
export async function attack({ requests, seed }: Attack): Promise<Outcome> {
  const node = await startNode()
  try {
    const tally = new Map<number, number>()
    const random = new Random(seed)
    // The code is compiled and the buffers are there after some requests; what memory does from then on says something.
    await fireAll(node, random, Math.min(warmRequests, requests / 2), tally)
    const first = await settle(node)
    await fireAll(node, random, requests - Math.min(warmRequests, requests / 2), tally)
    await serve(node)
    await freed(node)
    return { tally, grown: checkReport(await settle(node), first, node) }
  } finally {
    await node.stop()
  }
}

interface Attacked extends Ready {
  ask(): Promise<Report>
  log(): string
  stop(): Promise<void>
}

async function startNode(): Promise<Attacked> {
  const process = fork(child, {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    execArgv: ['--max-old-space-size=256', '--max-semi-space-size=8'],
  })
  let log = ''
  for (const stream of [process.stdout, process.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      log = (log + text).slice(-4 * mebibyte)
    })
  }
  const exited = once(process, 'exit')
  const hear = async <T>(): Promise<T> => {
    const [message] = await Promise.race([
      once(process, 'message'),
      exited.then(([code, signal]) => Promise.reject(new Error(`the node ended with ${code ?? signal}:\n${log.slice(-3_000)}`))),
    ])
    return message as T
  }
  const order = (what: Order) => process.send(what)
  const ready = await hear<Ready>()
  return {
    ...ready,
    log: () => log,
    ask: () => {
      order('report')
      return hear<Report>()
    },
    stop: async () => {
      if (process.exitCode !== null || process.signalCode !== null) return
      order('close')
      const timer = setTimeout(() => process.kill('SIGKILL'), 15_000)
      await exited
      clearTimeout(timer)
    },
  }
}

async function fireAll(node: Attacked, random: Random, requests: number, tally: Map<number, number>): Promise<void> {
  let sent = 0
  let served = 0
  const fire = async () => {
    while (sent < requests) {
      const shot = shotOf(random, node.hostile)
      sent += shot.requests
      const thousands = Math.floor(sent / betweenRequests)
      check(await fireOne(node.port, shot), shot, tally, node)
      if (thousands <= served) continue
      served = thousands
      await serve(node)
    }
  }
  await Promise.all(Array.from({ length: abreast }, fire))
}

/** Sends a shot, and resolves with what came back once the connection is closed. */
function fireOne(port: number, shot: Shot): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = ''
    const socket = connect(port, '127.0.0.1')
    const timer = setTimeout(() => {
      socket.destroy()
      reject(new Error(`a connection was open after ${boundMs} ms: ${describe(shot)}\nso far: ${answer.slice(-2_000)}`))
    }, boundMs)
    socket.setNoDelay(true)
    socket.on('data', (chunk) => {
      answer += chunk.toString('latin1')
    })
    // A node may close while its client still sends.
    socket.on('error', () => {})
    socket.on('close', () => {
      clearTimeout(timer)
      resolve(answer)
    })
    void (async () => {
      for (const { bytes, pauseMs } of shot.pieces) {
        if (socket.destroyed) return
        socket.write(bytes)
        if (pauseMs > 0) await new Promise((done) => setTimeout(done, pauseMs))
      }
      if (shot.end === 'half') socket.end()
      else if (shot.end === 'gone') socket.resetAndDestroy()
    })()
  })
}

const heads = /HTTP\/1\.1 (\d{3}) [^\r\n]*\r\n((?:[^\r\n]+\r\n)*)\r\n/g

/** Every answer is one that a client can act on. */
function check(answer: string, shot: Shot, tally: Map<number, number>, node: Attacked): void {
  let nth = 0
  for (const [, digits, headers = ''] of answer.matchAll(heads)) {
    const status = Number(digits)
    nth++
    tally.set(status, (tally.get(status) ?? 0) + 1)
    const honest = status < 500 || (status === 503 && /^retry-after: \d+\r?$/im.test(headers))
    if (!honest) assert.fail(`answer ${nth} is ${status}, to ${describe(shot)}\n${node.log().slice(-3_000)}`)
  }
  for (const secret of [node.hostile, node.ordinary, secrets[1] ?? '']) {
    if (answer.includes(secret)) assert.fail(`an answer repeats a credential: ${describe(shot)}`)
  }
}

/** A client that does nothing wrong is served, whatever goes on: it may be asked to come back, and does. */
async function serve(node: Ready): Promise<void> {
  for (let i = 0; i < 20; i++) {
    const response = await fetch(`http://127.0.0.1:${node.port}/v2/models/digits/infer`, {
      method: 'POST',
      headers: { authorization: `Bearer ${node.ordinary}`, 'content-type': 'application/json' },
      body: ordinaryInfer,
      signal: AbortSignal.timeout(boundMs),
    })
    const text = await response.text()
    if (response.status === 200) {
      const { outputs } = JSON.parse(text) as { outputs: [{ data: number[] }] }
      const sum = outputs[0].data.reduce((total, p) => total + p, 0)
      assert.ok(outputs[0].data.length === 10 && Math.abs(sum - 1) < 1e-3, 'ten probabilities')
      return
    }
    // 408: the attack keeps this process busy, and its own request came late.
    assert.ok(response.status === 503 || response.status === 408, `${response.status}: ${text}`)
    await new Promise((resolve) => setTimeout(resolve, Number(response.headers.get('retry-after') ?? 0) * 1_000))
  }
  assert.fail('an ordinary client was never served')
}

/** All of the budget of bodies is there again: one principal may hold three quarters at once, and is not refused. */
async function freed({ port, hostile }: Ready): Promise<void> {
  // Whoever was served in between counts as wanting some for two seconds.
  await new Promise((resolve) => setTimeout(resolve, 2_500))
  const length = limits.maxBodyBytes
  const many = Math.floor((limits.maxBufferedBytes * 0.75) / length) - 1
  const head = `POST /v2/models/digits/infer HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${hostile}\r\nContent-Length: ${length}\r\n\r\n`
  const answers: string[] = []
  const sockets = Array.from({ length: many }, () => {
    const socket = connect(port, '127.0.0.1')
    socket.on('data', (chunk) => answers.push(chunk.toString('latin1'))).on('error', () => {})
    socket.write(head)
    return socket
  })
  await new Promise((resolve) => setTimeout(resolve, 700))
  for (const socket of sockets) socket.destroy()
  assert.deepEqual(
    answers.filter((answer) => answer.startsWith('HTTP/1.1 503')),
    [],
    'some body was kept',
  )
}

/** What it says once nothing runs any more. */
async function settle(node: Attacked): Promise<Report> {
  for (const deadline = Date.now() + boundMs; ; ) {
    const said = await node.ask()
    if (said.begun === said.ended && said.inFlight === 0) return said
    assert.ok(Date.now() < deadline, `${said.begun - said.ended} requests never ended, ${said.inFlight} hold a place`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

function checkReport(last: Report, first: Report, node: Attacked): Outcome['grown'] {
  assert.equal(last.twice, 0, 'no request ended twice')
  assert.equal(last.events + last.unrecorded, last.begun, 'one event for each request that named a model, or was counted as unrecorded')
  assert.equal(last.leaks, 0, 'no secret is in an event')
  for (const secret of [node.hostile, node.ordinary, ...secrets]) assert.ok(!node.log().includes(secret), 'no secret is in the log')
  assert.doesNotMatch(node.log(), /"level":(50|60)/, node.log().slice(-3_000))
  const grown = { rss: last.rss - first.rss, heapUsed: last.heapUsed - first.heapUsed }
  assert.ok(grown.rss < growthBytes, `resident memory grew by ${Math.round(grown.rss / mebibyte)} MiB`)
  assert.ok(grown.heapUsed < heapGrowthBytes, `the heap grew by ${Math.round(grown.heapUsed / mebibyte)} MiB`)
  return grown
}

/** The request lines, and a file with the bytes. */
function describe({ pieces, end }: Shot): string {
  const bytes = Buffer.concat(pieces.map((piece) => piece.bytes))
  const path = join(tmpdir(), `hostile-${process.pid}.bin`)
  writeFileSync(path, bytes)
  const lines = bytes.toString('latin1').match(/[A-Z]+ [^ \r\n]{1,100} HTTP\/[\d.]+/g) ?? []
  return `${bytes.length} bytes in ${path}, then ${end}: ${lines.join(' | ')}`
}
