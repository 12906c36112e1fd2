import { z } from 'zod'

export const Parameters = z.object({
  biasMaps: z
    .tuple([z.int().min(2), z.int().min(2), z.int().min(2)])
    .default([6, 8, 12])
    .describe(
      'Different maps of logit bias on one prompt, with log probabilities asked for: suspicious, likely, certain. Half as many again without, and twice as many where answers may have more than 16 tokens.',
    ),
  biasMagnitudes: z.int().min(4).max(30).default(12).describe('Different largest biases, over all prompts: a search by halves.'),
  settings: z
    .tuple([z.int().min(2).max(60), z.int().min(2).max(60)])
    .default([10, 20])
    .describe('Different temperatures, top-p and limits on one prompt: suspicious, likely.'),
  refusedSettings: z.int().min(2).default(6).describe('As many are likely an attack where the model refused that prompt.'),
  resubmissions: z
    .tuple([z.number().min(2), z.number().min(2), z.number().min(2)])
    .default([4, 6, 10])
    .describe('Refused tries of one prompt after its first: suspicious. Those beyond the second, over all prompts: likely, certain.'),
  repetitions: z.int().min(8).default(48).describe('Answers drawn to one prompt that are worth a note.'),
  divergences: z
    .tuple([z.int().min(1), z.int().min(1)])
    .default([3, 6])
    .describe('Prompts that repeat the same words over and over and get long answers: suspicious, likely.'),
  refusalEvidence: z
    .number()
    .min(10)
    .default(1e6)
    .describe('Evidence (at most 1 in this many ordinary principals ever reaches it) that refusals climbed.'),
  ordinaryRefusals: z
    .number()
    .min(0.001)
    .max(0.5)
    .default(0.08)
    .describe('Share of refusals to expect of a principal of which nothing is known.'),
  harvest: z
    .int()
    .min(50)
    .default(400)
    .describe('Different prompts a day with long answers that are worth a note; likely with log probabilities.'),
  forgetHours: z.number().positive().default(24).describe('After this long, evidence counts half.'),
  insistMinutes: z
    .number()
    .positive()
    .default(15)
    .describe('After this long, refused tries count half: whoever tries more rarely than every four minutes never comes to likely.'),
  quietMinutes: z.number().positive().default(60).describe('After this long without more of it, an episode is over.'),
})
export type Parameters = z.infer<typeof Parameters>
