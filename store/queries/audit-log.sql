/*
name: audit-log
summary: Records and checkpoints of one log of the audit trail, byte for byte, in their order.
parameters:
  - name: writer
    type: String
    summary: who writes it
  - name: log
    type: String
    summary: the log, as audit-logs names it
  - name: from
    type: UInt32
    summary: number of the first record
    default: 0
  - name: until
    type: UInt32
    summary: number of the record after the last
    default: 4294967295
example: { writer: node-1, log: 01a20107196000000000 }
*/
-- A checkpoint has the number of the record after it, and comes before that one.
SELECT writer, log, form, seq, text
FROM audit
WHERE writer = {writer:String} AND log = {log:String} AND seq >= {from:UInt32} AND seq < {until:UInt32}
ORDER BY seq, form, id
