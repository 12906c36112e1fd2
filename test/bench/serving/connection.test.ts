import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { afterEach, test } from 'node:test'
import { Connection } from './connection.ts'

const request = Buffer.from('GET / HTTP/1.1\r\nhost: x\r\n\r\n')
const closers: (() => void)[] = []
afterEach(() => {
  for (const close of closers.splice(0)) close()
})

/** A server that writes these pieces for each request, one after the other, each in a write of its own. */
async function serving(pieces: readonly string[], then: (socket: Socket) => void = () => {}): Promise<Connection> {
  const server: Server = createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => {})
    socket.on('data', async () => {
      for (const piece of pieces) {
        socket.write(piece)
        // A write that was taken away is a packet of its own on the other side.
        await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
      }
      then(socket)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const connection = new Connection((server.address() as AddressInfo).port)
  closers.push(() => {
    connection.close()
    server.close()
  })
  return connection
}

const cases: readonly (readonly [string, readonly string[]])[] = [
  ['a length', ['HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello']],
  ['a length, in pieces', ['HTTP/1.1 200 OK\r\ncontent-le', 'ngth: 5\r\n\r', '\nhe', 'llo']],
  ['nothing', ['HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n']],
  ['chunks', ['HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n', '3\r\nabc\r\n', '0\r\n\r\n']],
  ['chunks whose end comes in pieces', ['HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0', '\r\n', '\r\n']],
]
for (const [name, pieces] of cases) {
  test(`an answer with ${name} is read to its end, and the next one after it`, async () => {
    const connection = await serving(pieces)
    for (let i = 0; i < 3; i++) {
      const { status, firstMs, ms } = await connection.ask(request)
      assert.equal(status, 200)
      assert.ok(firstMs > 0 && firstMs <= ms)
    }
  })
}

test('who leaves has seen the status, and comes back over a new connection', async () => {
  const connection = await serving(['HTTP/1.1 503 No\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n'])
  assert.equal((await connection.ask(request, true)).status, 503)
  assert.equal((await connection.ask(request, true)).status, 503)
})

test('an answer that is cut short is an error', async () => {
  const connection = await serving(['HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhe'], (socket) => socket.destroy())
  await assert.rejects(connection.ask(request), /ended before/)
})
