import type { EventOf, Observation } from '../../schemas/index.ts'
import { type DetectorLogic, defineDetector, type FindingDraft, type Step } from '../contract.ts'
import { geometryKey } from '../geometry-key.ts'
import { readSketch } from '../statistics/sketch.ts'
import { type Account, Accounts, wager, weightOf } from './accounts.ts'
import { type Bet, bettor, isOdd, jointTail, nearTail } from './evidence.ts'
import { draft, type Joined } from './finding.ts'
import { count, type Group, isRing, judge, membership, mostNames, openGroup, type Verdict } from './group.ts'
import { Parameters } from './parameters.ts'
import { isExplained, portray } from './portrait.ts'
import { anyLabel, type Neighbours, SketchRing } from './sketch-ring.ts'
import { State } from './state.ts'
import { likeness, sharedBy } from './traits.ts'

const day = 24 * 3_600_000

type Event = EventOf<'fingerprint'>

/** Extraction that many accounts share: a hundred keys of fifty queries each, none of which is conspicuous alone. */
export const extractionRing = defineDetector({
  id: 'extraction-ring',
  version: 2,
  stateVersion: 2,
  summary:
    "Model extraction split over many accounts. New accounts whose queries are unlike the model's ordinary traffic but like each other's, or vary each other's inputs, are pooled: the more there are, the fewer queries of the next one it takes. What else they share (address, agent, when their keys were made) joins the rest.",
  threats: ['AML.T0024.002', 'AML.T0005.001', 'AML.T0013'],
  observes: ['fingerprint'],
  params: Parameters,
  state: State,
  maxKeys: 64,
  idleMs: 30 * day,
  scope: (o: Observation) => (o.kind === 'fingerprint' ? geometryKey(o.data) : null),
  topicKey: (scope) => scope.slice(0, scope.indexOf('/')),
  start,
})

function start(p: Parameters): DetectorLogic<State> {
  const bet = bettor({ cap: p.cap, junk: p.junkShare, inflation: p.inflation })
  return {
    initial: () => ({
      accounts: new Accounts(p.accounts),
      fresh: new SketchRing(p.window),
      odd: new SketchRing(p.oddWindow),
      groups: [],
      nextGroup: 1,
      varying: 0,
    }),
    onEvent: (state, o) => (o.kind === 'fingerprint' ? onQuery(state, o, bet, p) : undefined),
  }
}

/** A query lies among another account's when it is nearer to one of them than this share of its distance to the reference. */
const amongRatio = 0.95
/**
 * Where two odd queries have so much in common outside the model's principal subspace (against their mean squared length: half for
 * a frame, noise or textures, a tenth for letters), what differs must lie there, too: cameras and frames leave what differs as
 * it is between ordinary inputs, 0.28 of it outside and more between the nearest; textures have three quarters, noise all.
 */
const shiftShare = 0.3
const leastOutside = 0.66
/** A perturbation that a gradient gave lies outside, nearly all of it; strokes and dim inputs are near each other in the subspace, too. */
const leastPerturbed = 0.75
/** Near more queries of others than this, it is what many send: a blank canvas, not a variation of one input. */
const mostNear = 4
/** It varies an input, its own account's or another's, when nearer than this. */
const variesRatio = 0.5
/** Queries of one source lie as near to others' as to the account's own; where the own are this much nearer, it goes its own way. */
const ownWay = 0.75
/** What one step of a video, a drawing or a tool counts: rings spread their queries, and have no use for such. */
const ownStep = 0.7
/** A query that speaks for a ring. */
const telling = 3
/** How far a variation may come back towards the ordinary, as a share of its step: gradient steps rarely do, originals of what others varied do. */
const mostFall = 0.1
const near: Neighbours = { own: 0, other: 0, otherOwner: 0, otherRise: 0, otherOutside: 0, otherCommon: 0, others: 0, repeated: false }

function onQuery(state: State, event: Event, bet: Bet, p: Parameters): Step<State> | undefined {
  const { data } = event
  const { accounts } = state
  const known = accounts.touch(data.principal)
  const joint = jointTail(data)
  const odd = isOdd(joint, data.residualTail)
  // Most queries are ordinary ones of accounts that have been here for long: nothing to compare.
  if (known !== undefined && known.queries >= p.young && !odd && weightOf(known) <= 1) {
    known.seenAt = event.time
    return undefined
  }
  const vector = readSketch(data.sketch)
  if (!state.fresh.accepts(vector) || !state.odd.accepts(vector)) return undefined
  const account = known ?? accounts.add(data, event.time).added
  account.queries++
  account.seenAt = event.time
  const reach = Math.max(data.referenceDistance, 1e-9) / data.scale
  const link = odd ? amongOdd(state, account, vector, reach) : 0
  const varied = variation(state, account, vector, reach, data)
  // A retry: it tells nothing, whatever it is.
  if (near.repeated) return undefined
  state.fresh.add(vector, account.number, data.output.label)
  if (odd) state.odd.add(vector, account.number, data.output.label)
  const e = betOn(data, { joint, odd, link, varied }, bet)
  // Its first of this kind: kept until somebody else sends the like.
  if (odd && link === 0 && !varied.own) account.pending = Math.max(account.pending, (oddBet(data, joint, bet) + bet(1)) / 2)
  if (e === 1) return undefined
  const from = link > 0 ? link : varied.owner
  const group = from > 0 && e >= telling ? placed(state, account, link, event, p) : groupOf(state, account)
  if (group === undefined) {
    wager(account, e)
    return undefined
  }
  count(group, account, -1, p)
  wager(account, e)
  if (e >= telling) account.telling++
  count(group, account, 1, p)
  if (odd && e >= telling) portray(group.portrait, vector, data)
  if (from > 0) group.events++
  group.touchedAt = event.time
  return e > 1 ? speak(state, group, account, event, p) : undefined
}

interface Seen {
  readonly joint: number
  readonly odd: boolean
  /** The other account whose odd queries it lies among, or 0. */
  readonly link: number
  readonly varied: Variation
}

interface Variation {
  /** The other account whose input it varies, or 0. */
  readonly owner: number
  /** Distance to that input, relative to the reference's. */
  readonly ratio: number
  /** Whether it varies an input of its own account rather. */
  readonly own: boolean
}

/** What the query says for a ring: above 1 for, below against, 1 nothing. */
function betOn(data: Event['data'], { joint, odd, link, varied }: Seen, bet: Bet): number {
  if (varied.own) return ownStep
  // Unlike ordinary traffic, and unlike whatever else is: anybody's odd input.
  if (odd && link === 0 && varied.owner === 0) return 1
  const unlike = odd && link === 0 ? 1 : oddBet(data, joint, bet)
  const alike = varied.owner > 0 ? bet(nearTail(varied.ratio, data.residualTail)) : bet(1)
  return (unlike + alike) / 2
}

function oddBet(data: Event['data'], joint: number, bet: Bet): number {
  return 0.75 * bet(joint) + 0.25 * bet(data.residualTail)
}

/** The other account whose odd queries this one lies among, and not rather among its own; 0 if none. */
function amongOdd(state: State, account: Account, vector: Int16Array, reach: number): number {
  state.odd.nearest(vector, account.number, anyLabel, amongRatio * reach, near)
  if (near.otherCommon >= shiftShare && near.otherOutside < leastOutside) return 0
  return near.other < Number.POSITIVE_INFINITY && near.own >= ownWay * near.other ? near.otherOwner : 0
}

const unvaried: Variation = { owner: 0, ratio: 1, own: false }

function variation(state: State, account: Account, vector: Int16Array, reach: number, { output }: Event['data']): Variation {
  state.fresh.nearest(vector, account.number, output.label, variesRatio * reach, near)
  if (near.own < ownWay * near.other) return { owner: 0, ratio: 1, own: true }
  // A perturbation leaves the subspace; whoever comes back to it only sends the original of what another one varied.
  if (near.other === Number.POSITIVE_INFINITY || near.otherRise < -mostFall * near.other) return unvaried
  if (near.otherOutside < leastPerturbed || near.others > mostNear) return unvaried
  return { owner: near.otherOwner, ratio: near.other / reach, own: false }
}

function groupOf(state: State, account: Account): Group | undefined {
  if (account.group === 0) return undefined
  return state.groups.find(({ id }) => id === account.group)
}

/** Where an account stands after a telling query. Who varies others' inputs does so all over the place: these are one group. */
function placed(state: State, account: Account, link: number, event: Event, p: Parameters): Group {
  if (link > 0) return joinGroup(state, account, link, event, p)
  const mine = groupOf(state, account)
  if (mine !== undefined) return mine
  const found = state.groups.find(({ id }) => id === state.varying)
  const group = found ?? openGroup(state.groups, state.nextGroup++, event.id, event.time, state.accounts.births)
  state.varying = group.id
  enter(group, account, p)
  return group
}

/** The group by majority of the account's links; the first link between two that have none opens one. */
function joinGroup(state: State, account: Account, from: number, event: Event, p: Parameters): Group {
  const other = state.accounts.numbered(from)
  const [mine, theirs] = [groupOf(state, account), other === undefined ? undefined : groupOf(state, other)]
  if (other !== undefined && theirs === undefined) settle(other)
  if (mine === undefined) {
    const group = theirs ?? openGroup(state.groups, state.nextGroup++, event.id, event.time, state.accounts.births)
    enter(group, account, p)
    if (theirs === undefined && other !== undefined) enter(group, other, p)
    return group
  }
  if (theirs === undefined) {
    if (other !== undefined) enter(mine, other, p)
    return mine
  }
  if (mine === theirs) account.votes++
  else if (account.named === 0 && --account.votes < (theirs.members > mine.members ? 1 : 0)) {
    count(mine, account, -1, p)
    enter(theirs, account, p)
    return theirs
  }
  return mine
}

/** An odd query that stood alone is evidence once another account's lies beside it. */
function settle(account: Account): void {
  if (account.pending <= 1) return
  wager(account, account.pending)
  if (account.pending >= telling) account.telling++
  account.pending = 0
}

function enter(group: Group, account: Account, p: Parameters): void {
  account.group = group.id
  account.votes = 1
  count(group, account, 1, p)
}

/** Names whoever belongs to the ring by now: the account itself, or, when the ring has just shown, all that came before. */
function speak(state: State, group: Group, account: Account, event: Event, p: Parameters): Step<State> | undefined {
  const verdict = judge(group, state.accounts.births, p)
  if (!isRing(group, verdict, p) || isExplained(group.portrait)) return undefined
  if (group.named > 0 && membership(group, verdict, account, 1) < p.posterior) return undefined
  const joined = joining(state, group, verdict, p)
  if (joined.length === 0) return undefined
  const findings: FindingDraft[] = []
  for (let at = 0; at < joined.length; ) {
    if (group.names.length >= mostNames) nextPage(group, event)
    const page = joined.slice(at, at + mostNames - group.names.length)
    for (const { account: each } of page) name(group, each)
    at += page.length
    findings.push(draft(event, group, verdict, page))
  }
  return { state, findings }
}

/** Accounts that pass by their queries, or by two traits that they share with those named before. */
function joining(state: State, group: Group, verdict: Verdict, p: Parameters): Joined[] {
  const { accounts } = state
  const shared = sharedBy(group.id, accounts.all())
  const joined: Joined[] = []
  for (const each of accounts.all()) {
    if (each.named === 1) continue
    const { ratio, kinds } = likeness(each, shared, accounts.traits, accounts.size)
    const bySource = each.group === group.id && each.telling >= (group.id === state.varying ? 2 : 1)
    if (!bySource && kinds.length < 2) continue
    const probability = membership(group, verdict, each, ratio)
    if (probability >= p.posterior) joined.push({ account: each, probability, kinds, bySource })
  }
  return joined
}

function nextPage(group: Group, event: Event): void {
  group.opened = event.id
  group.openedAt = event.time
  group.names = []
  group.organizations = []
}

function name(group: Group, account: Account): void {
  account.named = 1
  group.named++
  group.names.push(account.name)
  const { organization } = account
  if (organization !== null && !group.organizations.includes(organization)) group.organizations.push(organization)
}
