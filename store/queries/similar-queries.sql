/*
name: similar-queries
summary: The inputs nearest to given ones, whoever sent them, by the distance of their fingerprints.
parameters:
  - name: event
    type: Nullable(UUID)
    summary: fingerprint event to compare with
    default: null
  - name: principal
    type: Nullable(String)
    summary: or compare with the newest inputs of this principal
    default: null
  - name: probes
    type: UInt32
    summary: how many of the principal's inputs
    default: 20
  - name: maxDistance
    type: Float64
    summary: largest distance, in input units (L2)
    default: 1e9
  - name: others
    type: Bool
    summary: only inputs of other principals
    default: false
  - name: limit
    type: UInt32
    summary: most rows
    default: 100
example: { principal: alice, others: true }
*/
WITH probes AS
(
  SELECT id, principal, model, profile, epoch, scale, sketch, exact
  FROM fingerprints
  WHERE id = {event:Nullable(UUID)} OR ({event:Nullable(UUID)} IS NULL AND principal = {principal:Nullable(String)})
  ORDER BY time DESC, id DESC
  LIMIT {probes:UInt32}
)
-- Sketches of another model, profile, epoch or scale measure something else and are not compared.
SELECT
  p.id AS probe, f.id AS event, f.request AS request, f.`index` AS `index`, f.time AS time, f.principal AS principal, f.organization AS organization,
  f.model AS model, f.version AS version, L2Distance(f.sketch, p.sketch) * p.scale AS distance, CAST(f.exact = p.exact AS Bool) AS identical,
  f.label AS label, f.confidence AS confidence, f.margin AS margin, f.referenceDistance AS referenceDistance
FROM fingerprints AS f
INNER JOIN probes AS p ON f.model = p.model AND f.profile = p.profile AND f.epoch = p.epoch AND f.scale = p.scale
WHERE f.id != p.id
  AND length(f.sketch) = length(p.sketch)
  AND NOT ({others:Bool} AND f.principal = p.principal)
  AND distance <= {maxDistance:Float64}
ORDER BY distance, f.time, f.id
LIMIT {limit:UInt32}
