import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { loadMnist, pixels } from '../../inference/datasets/mnist.ts'
import { openMarker } from '../../inference/watermark/marker.ts'

const repository = fileURLToPath(new URL('../../', import.meta.url))
const dir = mkdtempSync(join(tmpdir(), 'cordon-watermark-'))
after(() => rmSync(dir, { recursive: true, force: true }))

const fingerprintKey = Buffer.alloc(32, 9)
const secrets = join(dir, 'secrets.json')
const key = fingerprintKey.toString('base64')
writeFileSync(secrets, JSON.stringify({ addressKey: key, fingerprintKey: key, fingerprintEpoch: 0 }))

/** A NumPy file of format 1.0, as `numpy.save` writes it. */
function npy(name: string, type: string, shape: readonly number[], values: Uint8Array): string {
  const text = `{'descr': '${type}', 'fortran_order': False, 'shape': (${shape.join(', ')}), }`
  const header = Buffer.from(`${text.padEnd(117)}\n`, 'latin1')
  const file = join(dir, name)
  writeFileSync(file, Buffer.concat([Buffer.from([0x93, ...Buffer.from('NUMPY'), 1, 0, header.length, 0]), header, values]))
  return file
}

function verify(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const all = ['watermark', 'verify', 'digits', '--secrets', secrets, ...args]
  const env = { ...process.env, CORDON_DATA_DIR: join(dir, 'data') }
  return new Promise((resolve) => {
    execFile(process.execPath, [join(repository, 'bin/cordon.js'), ...all], { env }, (error, stdout, stderr) =>
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr }),
    )
  })
}

describe('cordon watermark verify', () => {
  const count = 1_500
  const digits = loadMnist('test')
  const marker = openMarker(fingerprintKey)
  const inputs = npy('inputs.npy', '<f4', [count, 28, 28, 1], new Uint8Array(digits.images.slice(0, count * pixels).buffer))
  const own = npy(
    'own.npy',
    '|u1',
    [count, 10],
    Uint8Array.from({ length: count * 10 }, (_, i) => Number(digits.labels[Math.floor(i / 10)] === i % 10)),
  )
  const labels = Uint8Array.from({ length: count }, (_, index) => {
    const image = digits.images.subarray(index * pixels, (index + 1) * pixels)
    const label = digits.labels[index] ?? 0
    return marker.mark({ principal: 'mallory', model: 'digits' }, image, [28, 28, 1], label, 10, 0.004) ?? label
  })
  const predictions = npy('predictions.npy', '|u1', [count, 1], labels)
  const files = ['--inputs', inputs, '--own', own, '--predictions', predictions]

  test('knows a copy by the answers that its principal was given, and by nobody else’s', async () => {
    const { code, stdout, stderr } = await verify(...files, '--principal', 'mallory', '--json')
    assert.equal(code, 0, stderr)
    const verdict = JSON.parse(stdout) as { marked: number; hits: number; p: number; share: number }
    assert.ok(verdict.marked > 1 && verdict.hits === verdict.marked && verdict.p < 1e-4, stdout)
    assert.equal(verdict.share, 0.004)
    assert.match((await verify(...files, '--principal', 'alice')).stdout, /p = 1\.0\nnothing says/)
  })

  test('a suspect in a directory of models is asked itself, and so is the model', async () => {
    const few = npy('few.npy', '<f4', [300, 28, 28, 1], new Uint8Array(digits.images.slice(0, 300 * pixels).buffer))
    const suspect = ['--suspect', join(repository, 'inference/models')]
    const { code, stdout, stderr } = await verify('--inputs', few, ...suspect, '--principal', 'mallory', '--marked', '0.01', '--json')
    assert.equal(code, 0, stderr)
    const { marked, hits, p } = JSON.parse(stdout) as { marked: number; hits: number; p: number }
    assert.ok(marked > 0 && hits === 0 && p === 1, stdout)
  })

  test('says what is missing, and makes no secrets of its own', async () => {
    const nobody = ['--principal', 'mallory', '--inputs', inputs, '--own', own]
    assert.match((await verify(...nobody)).stderr, /either --predictions or --suspect/)
    assert.match((await verify(...files, '--principal', 'mallory', '--marked', '0.5')).stderr, /--marked "0.5"/)
    const short = npy('short.npy', '|u1', [3, 1], Uint8Array.of(1, 2, 3))
    assert.match((await verify(...nobody, '--predictions', short)).stderr, /one row for each input/)
    const { stderr, code } = await verify(...files, '--principal', 'mallory', '--secrets', join(dir, 'missing.json'))
    assert.deepEqual([code, /secrets/.test(stderr)], [1, true])
  })
})
