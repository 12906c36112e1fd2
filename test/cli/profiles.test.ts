import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { loadMnist, pixels } from '../../inference/datasets/mnist.ts'
import { openNpy } from '../../inference/fingerprint/npy.ts'
import { decodeProfile } from '../../inference/fingerprint/profile.ts'
import { openRegistry } from '../../inference/registry.ts'
import { seeded } from '../attacks/random.ts'

const repository = fileURLToPath(new URL('../../', import.meta.url))
const dir = mkdtempSync(join(tmpdir(), 'cordon-profiles-'))
after(() => rmSync(dir, { recursive: true, force: true }))

/** A NumPy file of format 1.0, as `numpy.save` writes it. */
function npy(name: string, type: string, shape: readonly number[], values: Uint8Array, order = 'False'): string {
  const text = `{'descr': '${type}', 'fortran_order': ${order}, 'shape': (${shape.join(', ')}${shape.length === 1 ? ',' : ''}), }`
  const header = Buffer.from(`${text.padEnd(117)}\n`, 'latin1')
  const start = Buffer.from([0x93, ...Buffer.from('NUMPY'), 1, 0, header.length, 0])
  const file = join(dir, name)
  writeFileSync(file, Buffer.concat([start, header, values]))
  return file
}

function cordon(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const env = { ...process.env, CORDON_INFERENCE_MODELS_DIR: join(dir, 'models'), CORDON_DATA_DIR: join(dir, 'data') }
  return new Promise((resolve) => {
    execFile(process.execPath, [join(repository, 'bin/cordon.js'), ...args], { env }, (error, stdout, stderr) =>
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr }),
    )
  })
}

describe('cordon profiles build', () => {
  mkdirSync(join(dir, 'models/digits'), { recursive: true })
  cpSync(join(repository, 'inference/models/digits/1'), join(dir, 'models/digits/1'), { recursive: true })
  const images = loadMnist('test').images.slice(0, 500 * pixels)
  const inputs = npy('inputs.npy', '<f4', [500, 28, 28, 1], new Uint8Array(images.buffer))

  test('learns a profile from ordinary inputs, which the registry then takes', async () => {
    const before = await (await openRegistry(join(dir, 'models'))).readProfile('digits', '1')
    const { code, stdout, stderr } = await cordon('profiles', 'build', 'digits', '--inputs', inputs, '--json')
    assert.equal(code, 0, stderr)
    const said = JSON.parse(stdout) as Record<string, unknown>
    assert.deepEqual([said['model'], said['version'], said['inputs'], said['calibration']], ['digits', '1', 250, 250])
    const bytes = await (await openRegistry(join(dir, 'models'))).readProfile('digits', '1')
    assert.ok(bytes !== null && before !== null && !Buffer.from(bytes).equals(before))
    const profile = decodeProfile(bytes)
    assert.deepEqual([profile.id, profile.width, profile.classes.length], [said['profile'], pixels, 10])
  })

  test('of traffic that an attacker may have joined, keeps apart what is no ordinary input', async () => {
    const random = seeded(3)
    const mixed = images.map((value, i) => (Math.floor(i / pixels) % 20 < 18 ? value : random.next()))
    const file = npy('mixed.npy', '<f4', [500, 28, 28, 1], new Uint8Array(mixed.buffer))
    const residualOf: number[] = []
    for (const suspect of ['0', '0.1']) {
      const { code, stdout, stderr } = await cordon('profiles', 'build', 'digits', '--inputs', file, '--suspect', suspect, '--json')
      assert.equal(code, 0, stderr)
      assert.equal((JSON.parse(stdout) as Record<string, unknown>)['suspect'], Number(suspect))
      const bytes = await (await openRegistry(join(dir, 'models'))).readProfile('digits', '1')
      assert.ok(bytes !== null)
      residualOf.push(Math.max(...decodeProfile(bytes).classes.map(({ residual }) => residual.knots.at(-1) ?? 0)))
    }
    const [trusting = 0, cautious = 0] = residualOf
    assert.ok(trusting > 7 && cautious < 7, `noise lies 8 from the subspace and more, handwriting 7 at most: ${residualOf}`)
  })

  for (const [what, args, says] of [
    ['more suspects than ordinary inputs explain', ['digits', '--inputs', inputs, '--suspect', '0.5'], /a share from 0 to 0\.3/],
    ['a share that is no number', ['digits', '--inputs', inputs, '--suspect', ''], /a share from 0 to 0\.3/],
    ['a model that is not there', ['pixies', '--inputs', inputs], /no model pixies/],
    ['a file that is not there', ['digits', '--inputs', join(dir, 'none.npy')], /Is it there/],
    ['a file that is none of NumPy', ['digits', '--inputs', join(repository, 'package.json')], /no \.npy file/],
    ['another type', ['digits', '--inputs', npy('long.npy', '<i8', [300, 4], new Uint8Array(9_600))], /another type/],
    ['another order', ['digits', '--inputs', npy('fortran.npy', '<f4', [3, 4], new Uint8Array(48), 'True')], /Fortran/],
    ['too few inputs', ['digits', '--inputs', npy('few.npy', '<f4', [40, 28, 28, 1], new Uint8Array(40 * 4 * pixels))], /at least 200/],
    ['a file cut short', ['digits', '--inputs', npy('short.npy', '<f4', [900, 28, 28, 1], new Uint8Array(99))], /ends before/],
  ] as const) {
    test(`refuses ${what}`, async () => {
      const { code, stderr } = await cordon('profiles', 'build', ...args)
      assert.notEqual(code, 0)
      assert.match(stderr, says)
      assert.doesNotMatch(stderr, /\n {4}at /)
    })
  }
})

test('bytes and doubles of a NumPy file are read as numbers', () => {
  const bytes = openNpy(npy('bytes.npy', '|u1', [2, 3], Uint8Array.of(1, 2, 3, 4, 5, 255)))
  assert.deepEqual([...bytes.at(1)], [4, 5, 255])
  bytes.close()
  const doubles = openNpy(npy('doubles.npy', '<f8', [1, 2], new Uint8Array(Float64Array.of(0.5, -2).buffer)))
  assert.deepEqual([doubles.count, doubles.shape, [...doubles.at(0)]], [1, [2], [0.5, -2]])
  doubles.close()
})
