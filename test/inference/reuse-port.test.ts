import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { test } from 'node:test'
import { openFixture } from './node-fixture.ts'

const host = '127.0.0.1'

/** Asks over a connection of its own, as a new client would. */
function isLive(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    let answer = ''
    const socket = connect(port, host, () => socket.write(`GET /v2/health/live HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`))
    socket.setEncoding('utf8').on('data', (text: string) => {
      answer += text
    })
    socket.on('error', reject).on('close', () => resolve(answer.startsWith('HTTP/1.1 200 ')))
  })
}

test('nodes that allow it share a port: each gets connections, and the one that stays gets all', async (t) => {
  const [first, second] = [await openFixture(), await openFixture()]
  t.after(() => first.close())
  const { port } = await first.node.start({ host, port: 0, reusePort: true })
  await second.node.start({ host, port, reusePort: true })
  const met = { first: 0, second: 0 }
  first.node.app.server.on('connection', () => met.first++)
  second.node.app.server.on('connection', () => met.second++)
  // The kernel deals by a hash of both ends: that one of two gets none of 64 has a probability of 2 in 2^64.
  for (let i = 0; i < 64; i++) assert.ok(await isLive(port))
  assert.ok(met.first > 0 && met.second > 0, `${met.first} and ${met.second}`)
  assert.equal(met.first + met.second, 64)
  await second.close()
  for (let i = 0; i < 16; i++) assert.ok(await isLive(port))
})

test('a node that does not is told that the port is in use', async (t) => {
  const [first, second] = [await openFixture(), await openFixture()]
  t.after(() => first.close())
  t.after(() => second.close())
  const { port } = await first.node.start({ host, port: 0 })
  await assert.rejects(second.node.start({ host, port }), { code: 'EADDRINUSE' })
})
