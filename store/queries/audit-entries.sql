/*
name: audit-entries
summary: What was asked or ordered, as the audit trail has it.
parameters:
  - name: id
    type: Nullable(String)
    summary: only what is kept of this event
    default: null
  - name: principal
    type: Nullable(String)
    summary: only what this principal asked, or this person ordered
    default: null
  - name: since
    type: Nullable(DateTime64(3, 'UTC'))
    summary: from this time on
    default: null
  - name: until
    type: Nullable(DateTime64(3, 'UTC'))
    summary: up to this time, without it
    default: null
  - name: afterLog
    type: String
    summary: only what stands after this log's record afterSeq
    default: ''
  - name: afterSeq
    type: UInt32
    summary: number of a record of afterLog
    default: 0
  - name: limit
    type: UInt32
    summary: most rows
    default: 200
example: { principal: alice }
*/
SELECT writer, log, seq, time, text
FROM audit
WHERE form = 'record' AND kind = 'entry' AND (log, seq) > ({afterLog:String}, {afterSeq:UInt32})
  AND ({id:Nullable(String)} IS NULL OR entry = {id:Nullable(String)})
  AND ({principal:Nullable(String)} IS NULL OR principal = {principal:Nullable(String)})
  AND ({since:Nullable(DateTime64(3, 'UTC'))} IS NULL OR time >= {since:Nullable(DateTime64(3, 'UTC'))})
  AND ({until:Nullable(DateTime64(3, 'UTC'))} IS NULL OR time < {until:Nullable(DateTime64(3, 'UTC'))})
ORDER BY log, seq
LIMIT {limit:UInt32}
