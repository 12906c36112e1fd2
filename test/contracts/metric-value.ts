import type { Registry } from 'prom-client'

/** The sum of a metric's values that have these labels. */
export async function valueOf(registry: Registry, name: string, labels: Readonly<Record<string, string>>): Promise<number> {
  const metric = await registry.getSingleMetric(name)?.get()
  const fits = (metric?.values ?? []).filter((value) => Object.entries(labels).every(([key, wanted]) => value.labels[key] === wanted))
  return fits.reduce((sum, { value }) => sum + value, 0)
}
