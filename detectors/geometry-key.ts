/** Where sketches can be compared: one model, reference profile and epoch of the key. */
interface Geometry {
  readonly model: string
  readonly profile: string
  readonly epoch: number
}

let last: Geometry = { model: '', profile: '', epoch: 0 }
let key = '//0'

/**
 * State key of what compares the queries of all principals. The key of the last event is kept: most follow one of the same model, and
 * a new string would be hashed again.
 */
export function geometryKey(geometry: Geometry): string {
  const { model, profile, epoch } = geometry
  if (model !== last.model || profile !== last.profile || epoch !== last.epoch) {
    key = `${model}/${profile}/${epoch}`
    last = { model, profile, epoch }
  }
  return key
}
