import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash, createPublicKey, verify } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, describe, test } from 'node:test'
import fc from 'fast-check'
import { readCheckpoint, verifierKey } from '../../audit/checkpoint.ts'
import { publicKeyPem, readPublicKey } from '../../audit/keys.ts'
import { type Proof, verifyProof } from '../../audit/proof.ts'
import { leafHash } from '../../audit/record.ts'
import { Frontier, FullTree, rootOfPath } from '../../audit/tree.ts'
import { entry, exported, openKept, temporaryDir } from './fixture.ts'

const count = 37
let proofs: Proof[] = []
let publicKey = ''
let log = ''

before((t) => {
  const { trail, events } = openKept(temporaryDir(t as never))
  for (let number = 1; number < count; number++) trail.append(entry(number))
  trail.close()
  ;({ publicKey, log } = trail.state())
  const lines = exported(events)
  const records = lines.filter((line) => line.startsWith('{"log"'))
  const checkpoint = events.findLast(({ data }) => data.form === 'checkpoint')?.data.text ?? ''
  const tree = new FullTree(records.map(leafHash))
  proofs = records.map((record, at) => ({ record, path: tree.path(at).map((hash) => hash.toString('base64')), checkpoint, publicKey }))
})

describe('Merkle trees', () => {
  /** RFC 9162 §2.1.1, word for word. */
  const rfcRoot = (leaves: readonly Buffer[]): Buffer => {
    const sha256 = (...parts: Uint8Array[]) => createHash('sha256').update(Buffer.concat(parts)).digest()
    if (leaves.length === 0) return sha256()
    const [first] = leaves
    if (leaves.length === 1 && first !== undefined) return first
    const k = 2 ** Math.floor(Math.log2(leaves.length - 1))
    return sha256(Buffer.of(1), rfcRoot(leaves.slice(0, k)), rfcRoot(leaves.slice(k)))
  }

  test('are those of RFC 9162, grown or built at once, and prove each leaf', () => {
    const leaves: Buffer[] = []
    const frontier = new Frontier()
    for (let size = 0; size <= 70; size++) {
      const tree = new FullTree(leaves)
      const root = rfcRoot(leaves)
      assert.deepEqual([frontier.root(), tree.root(), Frontier.of(size, frontier.subtrees()).root()], [root, root, root], `size ${size}`)
      for (const [index, leaf] of leaves.entries()) {
        assert.deepEqual(rootOfPath(leaf, index, size, tree.path(index)), root)
        if (size > 1) assert.notDeepEqual(rootOfPath(leaf, (index + 1) % size, size, tree.path(index)), root)
      }
      const leaf = leafHash(`record ${size}`)
      leaves.push(leaf)
      frontier.push(leaf)
    }
  })
})

describe('a proof', () => {
  test('of each record holds, with nothing but the public key', () => {
    for (const [seq, proof] of proofs.entries()) {
      const verdict = verifyProof(JSON.parse(JSON.stringify(proof)), [publicKey])
      assert.deepEqual([verdict.ok, verdict.ok && verdict.seq, verdict.ok && verdict.writer], [true, seq, 'node-1'])
    }
  })

  test('fails with any bit of it flipped', () =>
    fc.assert(
      fc.property(fc.integer({ min: 0, max: count - 1 }), fc.nat(), fc.integer({ min: 0, max: 7 }), (seq, where, bit) => {
        const bytes = Buffer.from(JSON.stringify(proofs[seq]))
        const at = where % bytes.length
        bytes[at] = (bytes[at] ?? 0) ^ (1 << bit)
        let given: unknown
        try {
          given = JSON.parse(bytes.toString())
        } catch {
          return true
        }
        return !verifyProof(given, [publicKey]).ok
      }),
      { seed: 5, numRuns: 3_000 },
    ))

  test('fails for another record, another key, and whatever is no proof', () => {
    const [first, second] = proofs
    assert.ok(first !== undefined && second !== undefined)
    const other = Buffer.alloc(32, 1).toString('base64')
    for (const given of [
      { ...first, record: second.record },
      { ...first, path: second.path },
      { ...first, path: [] },
      { ...first, publicKey: other },
      { ...first, more: 1 },
      null,
      'proof',
    ]) {
      assert.equal(verifyProof(given, [publicKey, other]).ok, false)
    }
    assert.equal(verifyProof(first, [other]).ok, false)
    assert.equal(verifyProof(first, []).ok, false)
  })
})

describe('a checkpoint', () => {
  test('is a signed note as C2SP has it: text, name, key id and signature', () => {
    const { checkpoint } = proofs[0] ?? { checkpoint: '' }
    const [text = '', signatures = ''] = checkpoint.split('\n\n')
    const lines = text.split('\n')
    assert.deepEqual(lines.slice(0, 2), [`cordon-audit/node-1/${log}`, String(count)])
    const [dash, name, encoded = ''] = signatures.trimEnd().split(' ')
    assert.deepEqual([dash, name], ['—', lines[0]])
    const signature = Buffer.from(encoded, 'base64')
    const key = Buffer.from(publicKey, 'base64')
    const keyId = createHash('sha256')
      .update(Buffer.concat([Buffer.from(`${name}\n`), Buffer.of(1), key]))
      .digest()
    assert.deepEqual(signature.subarray(0, 4), keyId.subarray(0, 4))
    assert.ok(verify(null, Buffer.from(`${text}\n`), createPublicKey(publicKeyPem(publicKey)), signature.subarray(4)))
    assert.equal(readCheckpoint(checkpoint)?.size, count)
  })

  test('is read in one form only', () => {
    const { checkpoint } = proofs[0] ?? { checkpoint: '' }
    for (const text of ['', checkpoint.slice(0, -1), ` ${checkpoint}`, checkpoint.replace(String(count), `0${count}`), `${checkpoint}\n`])
      assert.equal(readCheckpoint(text), undefined, JSON.stringify(text))
  })

  test('has a key that is read as PEM or as a verifier key', () => {
    assert.equal(readPublicKey(publicKeyPem(publicKey)), publicKey)
    assert.equal(readPublicKey(verifierKey('node+1', log, publicKey)), publicKey)
    assert.throws(() => readPublicKey('nonsense'), { code: 'AUDIT_UNREADABLE' })
  })
})

test('the command verifies a proof where there is no instance, no configuration and no key but the public one', (t) => {
  const dir = temporaryDir(t)
  const empty = join(dir, 'empty')
  mkdirSync(empty)
  writeFileSync(join(dir, 'proof.json'), JSON.stringify(proofs[5]))
  writeFileSync(join(dir, 'public.pem'), publicKeyPem(publicKey))
  const main = new URL('../../cli/main.ts', import.meta.url).pathname
  const run = (...args: string[]) =>
    execFileSync(process.execPath, [main, 'audit', 'verify', '--json', ...args], {
      cwd: empty,
      env: {},
      stdio: ['ignore', 'pipe', 'ignore'],
    })
  const verdict = JSON.parse(String(run('--proof', join(dir, 'proof.json'), '--key', join(dir, 'public.pem'))))
  assert.deepEqual([verdict.ok, verdict.seq, verdict.record.principal], [true, 5, 'carol'])
  writeFileSync(join(dir, 'proof.json'), JSON.stringify(proofs[5]).replace('carol', 'alice'))
  assert.throws(() => run('--proof', join(dir, 'proof.json'), '--key', join(dir, 'public.pem')), { status: 1 })
})
