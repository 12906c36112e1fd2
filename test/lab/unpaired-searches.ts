import { type AttackResult, Attempt, type Oracle, type Target } from '../attacks/oracle.ts'
import type { Random } from '../attacks/random.ts'
import { lead } from '../attacks/square.ts'
import { Waves } from '../attacks/waves.ts'
import type { AttackSuite } from './suites.ts'

interface SearchOptions {
  readonly random: Random
  readonly budget: number
  /** Bound of the change in any pixel. */
  readonly epsilon: number
}

/** The source with a change cut to the bound. */
function within(source: Float32Array, change: ArrayLike<number>, epsilon: number): Float32Array {
  return source.map((value, i) => Math.min(1, Math.max(0, value + Math.min(epsilon, Math.max(-epsilon, change[i] ?? 0)))))
}

interface Particle {
  readonly at: Float32Array
  readonly speed: Float32Array
  best: Float32Array
  score: number
}

/**
 * Particle swarm over low-frequency coefficients, as Mosli, Wright, Yuan and Pan use it against image models ("They might not be
 * giants", ESORICS 2020), with the constants of Clerc and Kennedy: each goes on, towards its own best and the best of all.
 */
function swarm(oracle: Oracle, target: Target, { random, budget, epsilon }: SearchOptions): Promise<AttackResult> {
  const attempt = new Attempt(oracle, target, budget)
  const waves = new Waves(28, 7)
  const normals = (size: number) => Float32Array.from({ length: waves.size }, () => size * random.normal())
  return attempt.run(async () => {
    const particles = Array.from({ length: 10 }, (): Particle => {
      const at = normals(0.7)
      return { at, speed: normals(0.2), best: at, score: Number.POSITIVE_INFINITY }
    })
    let leader: Particle | undefined
    for (;;) {
      for (const particle of particles) {
        const { at, speed } = particle
        // Nobody leads before all have asked once.
        const best = leader?.best
        for (let i = 0; i < (best?.length ?? 0); i++) {
          const own = (particle.best[i] ?? 0) - (at[i] ?? 0)
          const common = (best?.[i] ?? 0) - (at[i] ?? 0)
          speed[i] = 0.73 * (speed[i] ?? 0) + 1.5 * random.next() * own + 1.5 * random.next() * common
          at[i] = (at[i] ?? 0) + (speed[i] ?? 0)
        }
        const score = lead((await attempt.ask(within(target.source, waves.image(at), epsilon))).probabilities, target.label)
        if (score < 0) return
        if (score >= particle.score) continue
        particle.score = score
        particle.best = at.slice()
      }
      leader = particles.reduce((a, b) => (b.score < a.score ? b : a))
    }
  })
}

/** A gradient estimate from one side, without pairs: fresh noise around the image so far, then a step against what it says. */
function oneSided(oracle: Oracle, target: Target, { random, budget, epsilon }: SearchOptions): Promise<AttackResult> {
  const attempt = new Attempt(oracle, target, budget)
  const [sigma, samples] = [0.1, 15]
  return attempt.run(async () => {
    const change = new Float32Array(target.source.length)
    for (;;) {
      const tried: { readonly noise: Float32Array; readonly score: number }[] = []
      for (let k = 0; k < samples; k++) {
        const noise = change.map(() => random.normal())
        const probe = within(
          target.source,
          change.map((value, i) => value + sigma * (noise[i] ?? 0)),
          epsilon + 3 * sigma,
        )
        tried.push({ noise, score: lead((await attempt.ask(probe)).probabilities, target.label) })
      }
      const mean = tried.reduce((sum, { score }) => sum + score / samples, 0)
      for (let i = 0; i < change.length; i++) {
        const slope = tried.reduce((sum, { noise, score }) => sum + (score - mean) * (noise[i] ?? 0), 0)
        change[i] = Math.min(epsilon, Math.max(-epsilon, (change[i] ?? 0) - 0.05 * Math.sign(slope)))
      }
      if (await attempt.fools(within(target.source, change, epsilon))) return
    }
  })
}

/** Searches without a path that nothing was tuned on. */
export const unpairedSuites: readonly AttackSuite[] = [
  {
    name: 'search, swarm',
    tuned: false,
    run: (oracle, { target, random, budget }) => swarm(oracle, target, { random, budget, epsilon: random.between(0.25, 0.4) }),
  },
  {
    name: 'search, gradient from one side',
    tuned: false,
    run: (oracle, { target, random, budget }) => oneSided(oracle, target, { random, budget, epsilon: random.between(0.2, 0.35) }),
  },
]
