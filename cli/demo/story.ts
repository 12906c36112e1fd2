import type { ContainmentView } from '../../console/port.ts'
import { type Finding, isGap } from '../../schemas/index.ts'
import { cell, span } from '../output.ts'

export interface Story {
  say(who: string, what: string): void
  finding(finding: Finding): void
  containment(containment: ContainmentView): void
  /** A containment from before this start: said once, and not told as news. */
  still(containment: ContainmentView): void
}

/** Tells people on a terminal what happens, a line an event. */
export function openStory(write: (line: string) => void, clock: () => number, colour: boolean): Story {
  const told = new Set<string>()
  const once = (key: string): boolean => {
    if (told.has(key)) return false
    if (told.size > 10_000) told.clear()
    told.add(key)
    return true
  }
  const line = (tag: string, paint: number, what: string) => {
    const time = new Date(clock()).toISOString().slice(11, 23)
    write(`${time}  ${colour ? `\u001b[${paint}m${tag.padEnd(10)}\u001b[0m` : tag.padEnd(10)} ${what}`)
  }
  const end = (containment: ContainmentView) => new Date(containment.until).toISOString().slice(11, 19)
  return {
    still: (containment) => {
      once(`${containment.id}/${containment.revision}/active/enforced`)
      once(`${containment.id}/${containment.from}`)
      line('STILL', 35, `${cell(containment.target)} is contained by ${containment.action} from before, until ${end(containment)}`)
    },
    say: (who, what) => line(who, 36, what),
    finding: (finding) => {
      if (isGap(finding) || !once(`${finding.id}/${finding.revision}`)) return
      const who = finding.principals.join(', ') || finding.workload || finding.scope
      const how = `${finding.detector}, ${(finding.confidence * 100).toFixed(1)} % sure, after ${finding.eventsSeen} events`
      line('SEEN', 33, `${cell(who)}: ${cell(finding.title)} (${how})`)
    },
    containment: (containment) => {
      const key = `${containment.id}/${containment.revision}/${containment.state}`
      if (containment.state === 'active' && (containment.enforcedAfterMs !== null || containment.decidedAt === null)) {
        if (!once(`${key}/enforced`)) return
        const until = end(containment)
        if (!once(`${containment.id}/${containment.from}`)) return line('EXTENDED', 31, `${cell(containment.id)} until ${until}`)
        const after =
          containment.enforcedAfterMs === null
            ? 'by hand'
            : `enforced ${span(containment.enforcedAfterMs)} after the deciding event arrived`
        line('CONTAINED', 31, `${cell(containment.target)} by ${containment.action} until ${until} (${after})`)
      }
      if (containment.state !== 'active' && once(key)) line('ENDED', 32, `${cell(containment.id)}: ${containment.state}`)
    },
  }
}
