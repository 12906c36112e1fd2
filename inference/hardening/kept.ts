/** What a map has under a name, made where it is missing; the oldest goes before there are too many. */
export function kept<T>(map: Map<string, T>, name: string, most: number, make: () => T): T {
  const held = map.get(name)
  if (held !== undefined) return held
  const made = make()
  if (map.size >= most) for (const oldest of map.keys()) if (map.delete(oldest)) break
  map.set(name, made)
  return made
}
