/*
name: audit-leaves
summary: Hashes of the records of one log of the audit trail, for proofs.
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
SELECT writer, log, seq, base64Encode(leaf) AS leaf
FROM audit
WHERE writer = {writer:String} AND log = {log:String} AND form = 'record' AND seq >= {from:UInt32} AND seq < {until:UInt32}
ORDER BY seq
