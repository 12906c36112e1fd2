/** What there is to protect from over-reaction, as of now. */
export interface Inventory {
  /** Principals that sent a request lately. */
  readonly activePrincipals: number
  /** The models that each pool serves; every known pool is named. */
  readonly pools: ReadonlyMap<string, readonly string[]>
}

/** Models that a pool serves and that no pool would serve with those in `out` gone. An unknown pool loses nothing. */
export function modelsLeftWithout(inventory: Inventory, pool: string, out: ReadonlySet<string>): readonly string[] {
  const models = inventory.pools.get(pool) ?? []
  return models.filter((model) => ![...inventory.pools].some(([other, served]) => !out.has(other) && served.includes(model)))
}
