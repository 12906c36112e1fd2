import assert from 'node:assert/strict'
import { cp, mkdir, mkdtemp, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { openRegistry } from '../../inference/registry.ts'

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

async function flip(file: string): Promise<void> {
  const bytes = await readFile(file)
  const middle = bytes.length >> 1
  bytes[middle] = (bytes[middle] ?? 0) ^ 1
  await writeFile(file, bytes)
}
