/*
name: orders
summary: Who ordered what, and what became of it.
parameters:
  - name: person
    type: Nullable(String)
    summary: only this person's orders
    default: null
  - name: kind
    type: Nullable(String)
    summary: only this kind of order, such as contain, release or rotate-key
    default: null
  - name: since
    type: Nullable(DateTime64(3, 'UTC'))
    summary: ordered from this time on
    default: null
  - name: until
    type: Nullable(DateTime64(3, 'UTC'))
    summary: ordered up to this time, without it
    default: null
  - name: limit
    type: UInt32
    summary: most rows
    default: 200
example: { person: alice }
*/
-- An order without an answer was not carried out, or is about to be.
SELECT
  c.orderedAt AS orderedAt, c.person AS person, c.kind AS kind, c.subject AS subject, c.parameters AS parameters,
  multiIf(o.answers = 0, 'unanswered', o.ok, 'done', 'failed') AS state, o.code AS code, o.error AS error,
  if(o.answers = 0, NULL, dateDiff('millisecond', c.orderedAt, o.answeredAt)) AS answeredAfterMs, c.command AS command
FROM commands AS c
LEFT JOIN
(
  SELECT command, 1 AS answers, ok, code, error, answeredAt FROM outcomes ORDER BY command, answeredAt, `offset` LIMIT 1 BY command
) AS o ON o.command = c.command
WHERE ({person:Nullable(String)} IS NULL OR c.person = {person:Nullable(String)})
  AND ({kind:Nullable(String)} IS NULL OR c.kind = {kind:Nullable(String)})
  AND ({since:Nullable(DateTime64(3, 'UTC'))} IS NULL OR c.orderedAt >= {since:Nullable(DateTime64(3, 'UTC'))})
  AND ({until:Nullable(DateTime64(3, 'UTC'))} IS NULL OR c.orderedAt < {until:Nullable(DateTime64(3, 'UTC'))})
ORDER BY orderedAt DESC, command
LIMIT {limit:UInt32}
