import { kernelOf } from '../kernels/kernel.ts'
import { ascii, modelPlace, pairBits, place, scriptCount, singleBits, tripleBits } from './memory.ts'

/** A count that is full stays so: its neighbours catch up until all are halved. */
const full = 65_535
/** What was read this often or less says nothing yet: one strange text must not make itself ordinary. */
const twiceDiscount = 3
/** Weight of the shorter context. */
const backoff = 5
/** How often a script is taken to have followed itself before anything was read in it, and how many characters its whole alphabet counts for. */
const steady = 16
const unread = 50
/** Units of a piece whose probabilities are multiplied: of more the product might be too small for a number. */
const multiplied = 64

/** Multipliers that spread a character, a pair and a triple over 32 bits. */
const [oneFactor, twoFactor, threeFactor] = [0x9e3779b1, 0x85ebca6b, 0xc2b2ae35]

// Parts of the kernels. `$c` is the unit read, `$at` how many bytes of units come before it, and `$b` the unit before it; `$ab` and `$bc`
// are pairs, spread.

const unit = (before: number) => `(i32.load16_u offset=${place.units - 2 * before} $at)`
const scriptOf = (code: string) => `(i32.load8_u offset=${place.scripts} ${code})`
/** A pair of characters, spread over 32 bits; one character more gives the place of a triple. */
const spread = (a: string, b: string) => `(i32.mul (i32.add (i32.mul ${a} ${oneFactor}) ${b}) ${twoFactor})`

/** Addresses of counts, less where those of their kind begin, which comes as an offset. */
const counted = (index: string) => `(i32.add $model (i32.shl ${index} 1))`
const triple = counted(`(i32.shr_u (i32.mul (i32.add $ab $c) ${threeFactor}) ${32 - tripleBits})`)
const pair = (spreaded: string) => counted(`(i32.shr_u ${spreaded} ${32 - pairBits})`)
const half = 1 << (singleBits - 1)
const single = (code: string) =>
  counted(`(select ${code} (i32.or ${half} (i32.shr_u (i32.mul ${code} ${oneFactor}) ${33 - singleBits})) (i32.lt_u ${code} ${half}))`)
const follower = counted(`(i32.or (i32.mul $script ${scriptCount}) $next)`)
const countAt = (first: number, address: string) => `(i32.load16_u offset=${first} ${address})`
const totalOf = (script: string) => `(f64.convert_i32_s (i32.load offset=${modelPlace.totals} (i32.add $model (i32.shl ${script} 2))))`

/** Twice what is left of a count after its discount, at least 0; without a branch, since text is hard to predict. */
const twiceKnown = (count: string) =>
  `(f64.convert_i32_s (select (local.tee $twice (i32.sub (i32.shl ${count} 1) ${twiceDiscount})) 0 (i32.gt_s $twice 0)))`

/** Twice a count and the weight of the shorter context. */
const twiceWith = (count: string) => `(f64.convert_i32_s (i32.add (i32.shl ${count} 1) ${2 * backoff}))`

/** Sets `$alone` to the probability of `$c`, which is of script `$next`, after any character of `$script`: that of the script first. */
const setAlone = `
  (local.set $alone
    (f64.div
      (f64.add
        (f64.convert_i32_s (i32.add ${countAt(modelPlace.scripts, follower)} (i32.mul (i32.eq $script $next) ${steady})))
        (f64.const 0.5))
      (f64.add ${totalOf('$script')} (f64.const ${steady + scriptCount / 2}))))
  (local.set $alone
    (f64.div
      (f64.mul
        $alone
        (f64.add
          (f64.mul ${twiceKnown(countAt(modelPlace.singles, single('$c')))} (f64.const 0.5))
          (f64.mul (f64.const ${unread}) (f64.load offset=${place.alphabets} (i32.shl $next 3)))))
      (f64.add ${totalOf('$next')} (f64.const ${unread}))))`

/**
 * The probability of `$c` after `$ab`, from that by itself and four counts: of the triple, of its last pair, of `$b` in `$single`, of its
 * first pair in `$before`. As if twice over, so that counts stay integers.
 */
const probability = `
  (f64.div
    (f64.add
      ${twiceKnown(countAt(modelPlace.triples, triple))}
      (f64.mul (f64.const ${2 * backoff})
        (f64.div
          (f64.add ${twiceKnown('$pair')} (f64.mul (f64.const ${2 * backoff}) $alone))
          ${twiceWith('$single')})))
    ${twiceWith('$before')})`

/**
 * The probability of each ASCII character by itself after another one: what most of a text needs. At first `$c`, `$script` and `$next`
 * are 0, like every local.
 */
const fillAlone = `
  (loop $character
    ${setAlone}
    (f64.store offset=${place.alone} (i32.shl $c 3) $alone)
    (br_if $character (i32.lt_u (local.tee $c (i32.add $c 1)) ${ascii})))`

const startAt = (from: string) => `
  (local.set $at (i32.shl ${from} 1))
  (local.set $b ${unit(1)})
  (local.set $ab ${spread(unit(2), '$b')})`

/** Multiplies the probabilities of the units of each piece. */
export const openLikelihoods = kernelOf(`
  (func likelihoods (param $model i32)
    (local $piece i32 $pieces i32 $at i32 $end i32 $b i32 $c i32 $ab i32 $bc i32 $before i32 $pair i32 $script i32 $next i32)
    (local $single i32 $twice i32 $alone f64 $product f64)
    ${fillAlone}
    (local.set $pieces (i32.shl (i32.load offset=${place.pieces} 0) 2))
    (block $done
      (loop $again
        (br_if $done (i32.eq $piece $pieces))
        ${startAt(`(i32.load offset=${place.from} $piece)`)}
        (local.set $before ${countAt(modelPlace.pairs, pair('$ab'))})
        (local.set $end (i32.shl (i32.load offset=${place.until} $piece) 1))
        (if (i32.gt_u (i32.sub $end $at) ${2 * multiplied})
          (then (local.set $end (i32.add $at ${2 * multiplied}))))
        (local.set $product (f64.const 1))
        (loop $unit
          (local.set $c ${unit(0)})
          (if (i32.lt_u (i32.or $b $c) ${ascii})
            (then
              (local.set $alone (f64.load offset=${place.alone} (i32.shl $c 3)))
              (local.set $single ${countAt(modelPlace.singles, counted('$b'))}))
            (else
              (local.set $script ${scriptOf('$b')})
              (local.set $next ${scriptOf('$c')})
              ${setAlone}
              (local.set $single ${countAt(modelPlace.singles, single('$b'))})))
          (local.set $bc ${spread('$b', '$c')})
          (local.set $pair ${countAt(modelPlace.pairs, pair('$bc'))})
          (local.set $product (f64.mul $product ${probability}))
          (local.set $b $c)
          (local.set $ab $bc)
          (local.set $before $pair)
          (br_if $unit (i32.lt_u (local.tee $at (i32.add $at 2)) $end)))
        (f64.store offset=${place.likelihoods} (i32.shl $piece 1) $product)
        (local.set $piece (i32.add $piece 4))
        (br $again))))`)

const bump = (first: number, address: string) => `
  (local.set $place ${address})
  (local.set $count ${countAt(first, '$place')})
  (i32.store16 offset=${first} $place (i32.add $count (i32.lt_u $count ${full})))`

/** Counts the units `[from, until)`, one at least. The total of a script counts those that its counts have, none that found them full. */
export const openLearn = kernelOf(`
  (func learn (param $model i32 $from i32 $until i32)
    (local $at i32 $end i32 $b i32 $c i32 $ab i32 $bc i32 $script i32 $next i32 $place i32 $count i32)
    ${startAt('$from')}
    (local.set $script ${scriptOf('$b')})
    (local.set $end (i32.shl $until 1))
    (loop $unit
      (local.set $c ${unit(0)})
      (local.set $bc ${spread('$b', '$c')})
      ${bump(modelPlace.singles, single('$c'))}
      ${bump(modelPlace.pairs, pair('$bc'))}
      ${bump(modelPlace.triples, triple)}
      (local.set $next ${scriptOf('$c')})
      ${bump(modelPlace.scripts, follower)}
      (local.set $place (i32.add $model (i32.shl $script 2)))
      (i32.store offset=${modelPlace.totals} $place
        (i32.add (i32.load offset=${modelPlace.totals} $place) (i32.lt_u $count ${full})))
      (local.set $script $next)
      (local.set $b $c)
      (local.set $ab $bc)
      (br_if $unit (i32.lt_u (local.tee $at (i32.add $at 2)) $end))))`)

/** From `$at` on, up to a place of the model. */
const halve = (vectors: string, end: number) => `
  (local.set $end (i32.add $model ${end}))
  (loop $next
    (v128.store $at (${vectors}.shr_u (v128.load $at) 1))
    (br_if $next (i32.lt_u (local.tee $at (i32.add $at 16)) $end)))`

/** Halves all counts and totals. */
export const openHalve = kernelOf(`
  (func halve (param $model i32)
    (local $at i32 $end i32)
    (local.set $at $model)
    ${halve('i16x8', modelPlace.totals)}
    ${halve('i32x4', modelPlace.end)})`)
