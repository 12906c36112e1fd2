import { z } from 'zod'
import { Name } from '../../schemas/index.ts'

const Fidelity = z.number().min(0.3).max(0.995)

export const Parameters = z.object({
  budget: Fidelity.default(0.98).describe(
    'Estimated fidelity of a copy (share of ordinary inputs on which it would agree with the model) that one principal may reach before it is stated. It is held against the estimate itself; a copy may be as good as `fidelityHigh` of the finding by then, so ask for less where that must not be.',
  ),
  enforce: z
    .boolean()
    .default(false)
    .describe(
      'Whether an exhausted budget is stated with a confidence that contains. Off: it informs, opens no incident and contains nobody, since honest accounts learn, too.',
    ),
  models: z
    .record(
      Name,
      z.object({
        budget: Fidelity,
        enforce: z.boolean().default(true),
        offset: z.number().min(-3).max(3).default(0),
        classes: z.int().min(0).max(256).default(0),
      }),
    )
    .default({})
    .describe(
      'Budgets by model, in place of the one for all. `offset` is added to the logit of the estimate: what one trial of a copy of that model showed it to be off by. `classes` is how many the model has; 0 takes as many as the principal was answered, which is too few for who asks about few of them.',
    ),
  exempt: z.array(Name).max(1_000).default([]).describe('Principals who may ask as much as they like: own services, large customers.'),
  leastDistinct: z.int().min(1).default(100).describe('Distinct inputs below which nothing is stated, whatever the estimate.'),
  halfLifeMs: z
    .int()
    .min(60_000)
    .default(3_600_000)
    .describe('Half-life of the rate of new inputs, from which the time to the budget is told.'),
  renewMs: z
    .int()
    .min(60_000)
    .default(1_800_000)
    .describe('An enforced budget that is exhausted is stated again this often while answers go on, so that a containment does not lapse.'),
})
export type Parameters = z.infer<typeof Parameters>
