import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { assemble } from '../../inference/kernels/assembler.ts'
import { kernelOf } from '../../inference/kernels/kernel.ts'

describe('a kernel', () => {
  it('runs over a memory of its own', () => {
    // Counts at 8 up to $most by steps of $step.
    const open = kernelOf(`
      (func count (param $most i32 $step i32) (local $at i32)
        (loop $again ;; once at least
          (v128.store offset=8 0 (f64x2.add (v128.load offset=8 0) (v128.load64_splat 0)))
          (br_if $again (i32.lt_u (local.tee $at (i32.add $at $step)) $most))))`)
    const [one, other] = [open(100), open(70_000)]
    assert.deepEqual([one.memory.byteLength, other.memory.byteLength], [65_536, 131_072])
    const values = new Float64Array(one.memory)
    values.set([0.5, 1, 2])
    one.kernel(1_000_000, 100_000)
    assert.deepEqual(values.slice(0, 4), Float64Array.of(0.5, 6, 7, 0))
    assert.equal(new Float64Array(other.memory)[1], 0)
  })

  it('has constants of any size, and tells when a parenthesis is open', () => {
    for (const value of [0, 63, 64, -1, -64, -65, 8_191, 8_192, 2 ** 31 - 1, -(2 ** 31)]) {
      const text = `(func f (param $at i32) (v128.store $at (v128.load64_splat (i32.add $at ${value}))) ;; (nothing`
      assert.throws(() => assemble(text), /closing parenthesis/)
      assert.ok(WebAssembly.validate(assemble(`${text}\n)`)), `${value}`)
    }
  })

  it('is not made of what the assembler does not know', () => {
    const of = (body: string) => () => assemble(`(func f (param $x i32) ${body})`)
    assert.throws(of('(i32.rotl $x 1)'), /i32\.rotl/)
    assert.throws(of('(local.set $y 1)'), /\$y/)
    assert.throws(of('(br_if $out $x)'), /\$out/)
    assert.throws(of('))'), SyntaxError)
  })
})
