import assert from 'node:assert/strict'
import { cp, mkdir, mkdtemp, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { openRegistry, readVersion } from '../../inference/registry.ts'
import { entry, writeGraph, writeVersion } from '../contracts/models.ts'

let root: string
const version1 = () => join(root, 'models', 'digits', '1')

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'cordon-registry-'))
  await cp(fileURLToPath(new URL('../../inference/models/', import.meta.url)), join(root, 'models'), { recursive: true })
})
afterEach(() => rm(root, { recursive: true }))

const open = () => openRegistry(join(root, 'models'))

async function editManifest(edit: (manifest: { [key: string]: unknown; files: { weights: { path: string } } }) => void): Promise<void> {
  const file = join(version1(), 'manifest.json')
  const manifest = JSON.parse(await readFile(file, 'utf8'))
  edit(manifest)
  await writeFile(file, JSON.stringify(manifest))
}

test('finds models and versions in natural order and reads verified files', async () => {
  const file = join(version1(), 'manifest.json')
  const manifest = JSON.parse(await readFile(file, 'utf8'))
  await cp(version1(), join(root, 'models', 'digits', '10'), { recursive: true })
  await writeFile(join(root, 'models', 'digits', '10', 'manifest.json'), JSON.stringify({ ...manifest, version: '10' }))
  const registry = await open()
  assert.deepEqual(
    registry.list().map((info) => `${info.name} ${info.version}`),
    ['digits 1', 'digits 2', 'digits 10', 'language 1'],
  )
  const content = await registry.read('digits', '1')
  assert.deepEqual(Buffer.from(content.weights), await readFile(join(version1(), 'weights.bin')))
  // The digest is of the content: the same files are the same model whatever the version is called.
  assert.equal(registry.info('digits', '1')?.digest, registry.info('digits', '10')?.digest)
})

const corruptions: [string, () => Promise<unknown>][] = [
  ['a changed byte in the weights', () => flip(join(version1(), 'weights.bin'))],
  ['a changed byte in the reference profile', () => flip(join(version1(), 'profile.bin'))],
  ['a changed byte in the topology', () => flip(join(version1(), 'model.json'))],
  ['a missing file', () => rm(join(version1(), 'weights.bin'))],
  [
    'a longer file',
    async () =>
      writeFile(join(version1(), 'weights.bin'), Buffer.concat([await readFile(join(version1(), 'weights.bin')), Buffer.alloc(1)])),
  ],
  ['an empty file', () => writeFile(join(version1(), 'weights.bin'), '')],
  [
    'a link out of the models directory, though its content fits',
    async () => {
      await rename(join(version1(), 'weights.bin'), join(root, 'weights.bin'))
      await symlink(join(root, 'weights.bin'), join(version1(), 'weights.bin'))
    },
  ],
]
for (const [what, corrupt] of corruptions) {
  test(`refuses to read ${what}, and still reads other versions`, async () => {
    await corrupt()
    const registry = await open()
    await assert.rejects(registry.read('digits', '1'), { code: 'MODEL_CORRUPT' })
    assert.ok((await registry.read('digits', '2')).weights.length > 0)
  })
}

const manifests: [string, () => Promise<unknown>][] = [
  ['is not JSON', () => writeFile(join(version1(), 'manifest.json'), '{')],
  ['is missing', () => rm(join(version1(), 'manifest.json'))],
  ['is larger than 1 MiB', () => writeFile(join(version1(), 'manifest.json'), Buffer.alloc(1_048_577, ' '))],
  ['names another version', () => editManifest((manifest) => void (manifest['version'] = '2'))],
  ['has a range upside down', () => editManifest((manifest) => void (manifest['range'] = [1, 0]))],
  ['names a file in another folder', () => editManifest((manifest) => void (manifest.files.weights.path = '../2/weights.bin'))],
  ['names an absolute file', () => editManifest((manifest) => void (manifest.files.weights.path = '/etc/hostname'))],
]
for (const [what, corrupt] of manifests) {
  test(`refuses to open where a manifest ${what}`, async () => {
    await corrupt()
    await assert.rejects(open(), { code: 'MODEL_CORRUPT' })
  })
}

test('a link inside the models directory is followed, as mounted volumes need', async () => {
  await mkdir(join(root, 'models', '..data'))
  await rename(join(version1(), 'weights.bin'), join(root, 'models', '..data', 'weights.bin'))
  await symlink(join(root, 'models', '..data', 'weights.bin'), join(version1(), 'weights.bin'))
  const registry = await open()
  assert.ok((await registry.read('digits', '1')).weights.length > 0)
})

test('says what is not there', async () => {
  const registry = await open()
  for (const [model, version] of [
    ['letters', '1'],
    ['digits', '3'],
    ['digits/1', ''],
    ['..', 'models'],
  ] as const) {
    assert.equal(registry.info(model, version), undefined)
    await assert.rejects(registry.read(model, version), { code: 'MODEL_NOT_FOUND' })
  }
  await assert.rejects(openRegistry(join(root, 'nowhere')), { code: 'MODEL_NOT_FOUND' })
  await mkdir(join(root, 'nothing'))
  await assert.rejects(openRegistry(join(root, 'nothing')), { code: 'MODEL_NOT_FOUND' })
})

const tensors = { inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 2] }], outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, -1] }] }

test('a graph model has several weight files, read as one in their order', async () => {
  await writeGraph(join(root, 'models'), 'pair')
  const registry = await open()
  const { weights } = await registry.read('pair', '1')
  // Six floats, then the integer 2.
  assert.equal(weights.length, 28)
  assert.equal(registry.weightBytes('pair', '1'), 28)
  assert.equal(Buffer.from(weights).readInt32LE(24), 2)
})

test('a SavedModel is its files and those of its folders; a name that leads out of them is refused', async () => {
  const [graph, variables] = ['saved_model.pb', 'variables/variables.index'].map((path) => ({ path, bytes: Buffer.from(path) }))
  assert.ok(graph && variables)
  const write = (...saved: (typeof graph)[]) =>
    writeVersion(
      join(root, 'models'),
      'saved',
      '1',
      { platform: 'tensorflow-savedmodel', ...tensors, files: { saved: saved.map(entry) } },
      [graph, variables],
    )
  await write(variables, graph)
  const registry = await open()
  const { saved, signature } = await registry.read('saved', '1')
  assert.deepEqual(
    saved.map(({ path, bytes }) => [path, Buffer.from(bytes).toString()]),
    [
      ['saved_model.pb', 'saved_model.pb'],
      ['variables/variables.index', 'variables/variables.index'],
    ],
  )
  assert.equal(signature, 'serving_default')
  await flip(join(root, 'models', 'saved', '1', 'variables', 'variables.index'))
  await assert.rejects(registry.read('saved', '1'), { code: 'MODEL_CORRUPT' })
  for (const path of [
    '../1/saved_model.pb',
    'variables/../../../digits/1/weights.bin',
    '/etc/hostname',
    'other/file',
    'variables/.hidden',
  ]) {
    await write(graph, { ...variables, path })
    await assert.rejects(open(), { code: 'MODEL_CORRUPT' }, path)
  }
  await write(variables)
  await assert.rejects(open(), { code: 'MODEL_CORRUPT' }, 'without saved_model.pb')
})

test('a model that runs elsewhere is described, without files and without a digest', async () => {
  await writeVersion(join(root, 'models'), 'remote', '3', { platform: 'upstream', ...tensors, range: [0, 255], labels: ['a', 'b'] }, [])
  const registry = await open()
  const info = registry.info('remote', '3')
  assert.deepEqual([info?.platform, info?.digest, info?.labels, info?.inputs[0]?.range], ['upstream', null, ['a', 'b'], [0, 255]])
  assert.equal(registry.weightBytes('remote', '3'), 0)
  assert.equal(await registry.readProfile('remote', '3'), null)
  assert.ok(((await registry.readProfile('digits', '1'))?.length ?? 0) > 0)
})

test('a language model is asked for text, not for tensors', async () => {
  await editManifest((manifest) => void (manifest['platform'] = 'cordon-language'))
  const registry = await open()
  assert.deepEqual(registry.info('digits', '1')?.operations, ['chat', 'completion', 'embedding'])
})

test('a version whose manifest changed after the start is not read', async () => {
  const models = join(root, 'models')
  const digest = (await open()).info('digits', '1')?.digest ?? null
  assert.ok((await readVersion(models, 'digits', '1', digest)).weights.length > 0)
  await editManifest((manifest) => {
    Object.assign(manifest.files.weights, { sha256: '0'.repeat(64) })
  })
  await assert.rejects(readVersion(models, 'digits', '1', digest), { code: 'MODEL_CORRUPT', message: /changed after the start/ })
})

async function flip(file: string): Promise<void> {
  const bytes = await readFile(file)
  const middle = bytes.length >> 1
  bytes[middle] = (bytes[middle] ?? 0) ^ 1
  await writeFile(file, bytes)
}
