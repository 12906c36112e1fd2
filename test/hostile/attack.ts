import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Attacked, startNode } from './attacked.ts'
import { ordinaryInfer } from './bodies.ts'
import { type Answer, answersIn, Ledger } from './ledger.ts'
import { limits, type Ready, type Report, secrets } from './orders.ts'
import { Random } from './random.ts'
import { type Shooter, type Shot, shotOf } from './shots.ts'

const [marker] = secrets
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
/** Shares of all answers. */
const mostBusy = 0.2
const leastServed = 0.05

export interface Attack {
  readonly requests: number
  readonly seed: number
}

/** What the node answered, how often which status, and what it kept. */
export interface Outcome {
  readonly tally: ReadonlyMap<number, number>
  /** Requests that it disposed of, those that were sent, and those whose answer and event say the same. */
  readonly disposed: number
  readonly sent: number
  readonly matched: number
  readonly logChars: number
  /** By how much resident memory and heap grew, bytes. */
  readonly grown: { readonly rss: number; readonly heapUsed: number }
}

interface Front {
  readonly node: Attacked
  readonly shooter: Shooter
  readonly ledger: Ledger
  readonly tally: Map<number, number>
}

/** Sends hostile requests to a node in a process of its own until it disposed of so many, and holds it to all that is asserted below. */
export async function attack({ requests, seed }: Attack): Promise<Outcome> {
  const ledger = new Ledger()
  const node = await startNode((recorded) => ledger.record(recorded))
  try {
    let named = 0
    const shooter = { random: new Random(seed), key: node.hostile, nextAgent: () => `hostile-${seed}-${named++}` }
    const front: Front = { node, shooter, ledger, tally: new Map() }
    // The code is compiled and the buffers are there after some requests; what memory does from then on says something.
    await fireUntil(front, Math.min(warmRequests, requests / 2))
    const first = await settle(node)
    await fireUntil(front, requests)
    await serve(node)
    await freed(node)
    const grown = checkReport(await settle(node), first, node)
    const { matched } = ledger.check()
    checkShares(front.tally)
    return { tally: front.tally, disposed: ledger.disposed, sent: named, matched, logChars: node.log.chars, grown }
  } finally {
    await node.stop()
  }
}

async function fireUntil({ node, shooter, ledger, tally }: Front, requests: number): Promise<void> {
  let served = Math.floor(ledger.disposed / betweenRequests)
  const fire = async () => {
    while (ledger.disposed < requests) {
      const shot = shotOf(shooter)
      const text = await fireOne(node.port, shot)
      const answers = answersIn(text)
      check(text, answers, shot, tally, node)
      ledger.close(shot, answers)
      const thousands = Math.floor(ledger.disposed / betweenRequests)
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

/** Every answer is one that a client can act on. */
function check(text: string, answers: readonly Answer[], shot: Shot, tally: Map<number, number>, node: Attacked): void {
  for (const [nth, { status, headers }] of answers.entries()) {
    tally.set(status, (tally.get(status) ?? 0) + 1)
    const honest = status < 500 || (status === 503 && /^retry-after: \d+\r?$/im.test(headers))
    if (!honest) assert.fail(`answer ${nth + 1} is ${status}, to ${describe(shot)}\n${node.log.tail}`)
  }
  for (const secret of node.hidden) {
    // The id of a request is a part of its answer.
    if (secret !== marker && text.includes(secret)) assert.fail(`an answer repeats a credential: ${describe(shot)}`)
  }
}

/** An attack that is only refused for want of room says nothing of what its requests would have done. */
function checkShares(tally: ReadonlyMap<number, number>): void {
  const all = [...tally.values()].reduce((sum, count) => sum + count, 0)
  const shareOf = (status: number) => (tally.get(status) ?? 0) / all
  assert.ok(shareOf(503) <= mostBusy, `${(shareOf(503) * 100).toFixed(1)} % of the answers are 503`)
  assert.ok(shareOf(200) >= leastServed, `${(shareOf(200) * 100).toFixed(1)} % of the answers are 200`)
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
  assert.equal(node.log.leaked, false, 'no secret is in the log')
  assert.equal(node.log.grave, undefined, 'no error is in the log')
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
