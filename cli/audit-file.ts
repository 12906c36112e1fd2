import { createReadStream, createWriteStream } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createGzip } from 'node:zlib'
import { AuditError } from '../audit/errors.ts'

const chunkBytes = 1_048_576

/** An export in pieces, uncompressed where its name ends in .gz. @throws AuditError `AUDIT_UNREADABLE` */
export async function* readExport(file: string): AsyncGenerator<Uint8Array> {
  const bytes = createReadStream(file, { highWaterMark: chunkBytes })
  const text = file.endsWith('.gz') ? bytes.pipe(createGunzip({ chunkSize: chunkBytes })) : bytes
  bytes.on('error', (error) => text.destroy(error))
  try {
    yield* text
  } catch (cause) {
    if (cause instanceof AuditError) throw cause
    throw new AuditError('AUDIT_UNREADABLE', `reading ${file}: ${(cause as Error).message}`, { cause })
  }
}

/** Readable by its owner alone. Returns how many bytes were written, before they were compressed. */
export async function writeExport(file: string, chunks: AsyncIterable<Buffer> | Iterable<Buffer>): Promise<number> {
  let bytes = 0
  async function* counted() {
    for await (const chunk of chunks) {
      bytes += chunk.length
      yield chunk
    }
  }
  const out = createWriteStream(file, { mode: 0o600 })
  const source = Readable.from(counted(), { objectMode: false })
  await (file.endsWith('.gz') ? pipeline(source, createGzip(), out) : pipeline(source, out))
  return bytes
}
