import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { assemble } from '../../inference/kernels/assembler.ts'
import { kernelOf, memoryOf } from '../../inference/kernels/kernel.ts'

describe('a kernel', () => {
  it('runs over a memory of its own', () => {
    // Counts at 8 up to $most by steps of $step.
    const open = kernelOf(`
      (func count (param $most i32 $step i32) (local $at i32)
        (loop $again ;; once at least
          (v128.store offset=8 0 (f64x2.add (v128.load offset=8 0) (v128.load64_splat 0)))
          (br_if $again (i32.lt_u (local.tee $at (i32.add $at $step)) $most))))`)
    const [memory, other] = [memoryOf(100), memoryOf(70_000)]
    assert.deepEqual([memory.buffer.byteLength, other.buffer.byteLength], [65_536, 131_072])
    const [one] = [open(memory), open(other)]
    const values = new Float64Array(memory.buffer)
    values.set([0.5, 1, 2])
    one(1_000_000, 100_000)
    assert.deepEqual(values.slice(0, 4), Float64Array.of(0.5, 6, 7, 0))
    assert.equal(new Float64Array(other.buffer)[1], 0)
  })

  it('shares a memory with another', () => {
    const memory = memoryOf(8)
    const write = kernelOf('(func write (param $value i32) (i32.store 0 $value))')(memory)
    const double = kernelOf('(func double (i32.store 0 (i32.shl (i32.load 0) 1)))')(memory)
    write(21)
    double()
    assert.equal(new Int32Array(memory.buffer)[0], 42)
  })

  it('takes one branch or the other, out of blocks within too', () => {
    // 1 for less than ten, 2.5 up to a hundred, else nothing.
    const memory = memoryOf(8)
    const choose = kernelOf(`
      (func choose (param $x i32) (local $found f64)
        (block $done
          (if (i32.lt_u $x 10)
            (then (local.set $found (f64.const 1)) (br $done))
            (else (if (i32.gt_u $x 100) (then (br $done)))))
          (local.set $found (f64.const 2.5)))
        (f64.store 0 $found))`)(memory)
    const chosen = [9, 10, 100, 101].map((x) => {
      choose(x)
      return new Float64Array(memory.buffer)[0]
    })
    assert.deepEqual(chosen, [1, 2.5, 2.5, 0])
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
    assert.throws(of('(i32.rotr $x 1)'), /i32\.rotr/)
    assert.throws(of('(local.set $y 1)'), /\$y/)
    assert.throws(of('(br_if $out $x)'), /\$out/)
    assert.throws(of('(if $x (local.set $x 1))'), /local\.set for then/)
    assert.throws(of('(if $x (then) (then))'), /then for else/)
    assert.throws(of('))'), SyntaxError)
  })
})
