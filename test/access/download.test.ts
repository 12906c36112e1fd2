import assert from 'node:assert/strict'
import { createServer, type RequestListener } from 'node:http'
import { type TestContext, test } from 'node:test'
import { openDownloads } from '../../access/oidc/download.ts'

async function downloading(t: TestContext, answer: RequestListener, withinMs = 5_000): Promise<unknown> {
  const server = createServer(answer)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const downloads = openDownloads()
  t.after(async () => {
    await downloads.close()
    server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  return downloads.download(`http://127.0.0.1:${address.port}/jwks`, withinMs)
}

test('a document is fetched', async (t) => {
  assert.deepEqual(await downloading(t, (_request, response) => response.end('{"keys":[]}')), { keys: [] })
})

for (const [what, answer] of [
  ['is not there', (_request, response) => response.writeHead(404).end('{}')],
  [
    'is elsewhere',
    (request, response) => (request.url === '/jwks' ? response.writeHead(302, { location: '/other' }).end() : response.end('{}')),
  ],
  ['is no JSON', (_request, response) => response.end('<html>')],
  ['is larger than any', (_request, response) => response.end(`"${'x'.repeat(300_000)}"`)],
  ['is larger than any, and says it is not', (_request, response) => void response.write(`"${'x'.repeat(300_000)}"`)],
] satisfies [string, RequestListener][])
  test(`a document that ${what} is refused`, async (t) => {
    await assert.rejects(downloading(t, answer))
  })

test('a document that comes byte by byte has as long as every other', async (t) => {
  const slow: RequestListener = (_request, response) => {
    const timer = setInterval(() => response.write(' '), 5)
    response.once('close', () => clearInterval(timer))
  }
  await assert.rejects(downloading(t, slow, 100), { name: 'TimeoutError' })
})
