import type { Random } from './random.ts'

/** A thief's copy in the making: one hidden layer, trained on the answers so far by plain gradient descent. */
export class Student {
  readonly #w1: Float32Array
  readonly #w2: Float32Array
  readonly #hidden: Float32Array
  readonly inputs: number
  readonly units: number
  readonly classes: number

  constructor(inputs: number, units: number, classes: number, random: Random) {
    this.inputs = inputs
    this.units = units
    this.classes = classes
    this.#w1 = Float32Array.from({ length: units * inputs }, () => random.normal() * Math.sqrt(2 / inputs))
    this.#w2 = Float32Array.from({ length: classes * units }, () => random.normal() * Math.sqrt(1 / units))
    this.#hidden = new Float32Array(units)
  }

  /** Probabilities; leaves the hidden activations for {@link train} and {@link gradientSign}. */
  predict(x: Float32Array): Float32Array {
    const { inputs, units, classes } = this
    const w1 = this.#w1
    for (let u = 0; u < units; u++) {
      let sum = 0
      for (let i = 0, at = u * inputs; i < inputs; i++, at++) sum += (w1[at] as number) * (x[i] as number)
      this.#hidden[u] = Math.max(0, sum)
    }
    const logits = Float32Array.from({ length: classes }, (_, c) => {
      let sum = 0
      for (let u = 0; u < units; u++) sum += (this.#w2[c * units + u] as number) * (this.#hidden[u] as number)
      return sum
    })
    const top = Math.max(...logits)
    const powers = logits.map((l) => Math.exp(l - top))
    const total = powers.reduce((a, b) => a + b, 0)
    return powers.map((value) => value / total)
  }

  /** One step on cross-entropy to the victim's probabilities. */
  train(x: Float32Array, target: Float32Array, rate: number): void {
    const error = this.predict(x).map((value, c) => value - (target[c] ?? 0))
    const { inputs, units, classes } = this
    const [w1, w2] = [this.#w1, this.#w2]
    for (let u = 0; u < units; u++) {
      const h = this.#hidden[u] as number
      let back = 0
      for (let c = 0; c < classes; c++) {
        back += (error[c] as number) * (w2[c * units + u] as number)
        w2[c * units + u] = (w2[c * units + u] as number) - rate * (error[c] as number) * h
      }
      if (h <= 0) continue
      for (let i = 0, at = u * inputs; i < inputs; i++, at++) w1[at] = (w1[at] as number) - rate * back * (x[i] as number)
    }
  }

  /** Sign of the derivative of one class's logit by the input: Papernot et al. 2017, eq. 3. */
  gradientSign(x: Float32Array, label: number): Float32Array {
    const weights = new Float32Array(this.classes)
    weights[label] = 1
    return this.gradient(x, weights).map(Math.sign)
  }

  /** Derivative by the input of the weighted sum of the logits. */
  gradient(x: Float32Array, weights: Float32Array): Float32Array {
    this.predict(x)
    const { inputs, units, classes } = this
    const sums = new Float32Array(inputs)
    for (let u = 0; u < units; u++) {
      if ((this.#hidden[u] as number) <= 0) continue
      let weight = 0
      for (let c = 0; c < classes; c++) weight += (weights[c] as number) * (this.#w2[c * units + u] as number)
      for (let i = 0; i < inputs; i++) sums[i] = (sums[i] as number) + weight * (this.#w1[u * inputs + i] as number)
    }
    return sums
  }
}
