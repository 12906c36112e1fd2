import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { createGunzip } from 'node:zlib'
import { Session } from 'chdb'

/** Of the URL, what is neither a setting nor a parameter. */
const own: ReadonlySet<string> = new Set([
  'database',
  'query',
  'query_id',
  'default_format',
  'role',
  'wait_end_of_query',
  'send_progress_in_http_headers',
  'enable_http_compression',
])

/**
 * ClickHouse's HTTP interface in front of the in-process engine: so that the client, the URL, settings, parameters,
 * formats and errors are those of a server where there is none. Settings of a request hold for it alone.
 */
export async function serveClickHouse(path: string): Promise<{ url: string; close(): Promise<void> }> {
  // Keeps the engine on its directory between requests.
  const keeper = new Session(path)
  const server = createServer((request, response) => {
    answer(path, request)
      .then((body) => response.writeHead(200, { 'x-clickhouse-format': 'x' }).end(body))
      .catch((error: Error) => {
        const message = /Code: \d+[^]*/.exec(error.message)?.[0] ?? error.message
        const code = /Code: (\d+)/.exec(message)?.[1] ?? '1002'
        response.writeHead(code === '164' ? 403 : 400, { 'x-clickhouse-exception-code': code }).end(`${message}\n`)
      })
  })
  server.listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      keeper.close()
    },
  }
}

async function answer(path: string, request: IncomingMessage): Promise<Buffer> {
  const url = new URL(request.url ?? '/', 'http://localhost')
  const body = await text(request.headers['content-encoding'] === 'gzip' ? request.pipe(createGunzip()) : request)
  if (url.pathname === '/ping') return Buffer.from('Ok.\n')
  const given = url.searchParams.get('query')
  const sql = given === null ? body : `${given}\n${body}`
  const params: Record<string, string | null> = {}
  const session = new Session(path)
  try {
    const database = url.searchParams.get('database')
    if (database !== null) await session.queryAsync(`USE ${database}`)
    const settings: string[] = []
    for (const [name, value] of url.searchParams) {
      if (name.startsWith('param_')) params[name.slice(6)] = unescapeTsv(value)
      // A server checks the settings of a request against what held before it, so read-only comes into force last.
      else if (!own.has(name)) settings[name === 'readonly' ? 'push' : 'unshift'](`SET ${name} = '${value}'`)
    }
    for (const setting of settings) await session.queryAsync(setting)
    const result = Object.keys(params).length === 0 ? await session.queryAsync(sql) : await session.queryBindAsync(sql, params)
    return Buffer.from(result.bytes())
  } finally {
    session.close()
  }
}

function unescapeTsv(value: string): string | null {
  if (value === '\\N') return null
  const plain: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', '\\': '\\', "'": "'", 0: '\0', b: '\b', f: '\f' }
  return value.replaceAll(/\\(.)/g, (match, letter: string) => plain[letter] ?? match)
}
