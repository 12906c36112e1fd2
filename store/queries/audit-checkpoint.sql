/*
name: audit-checkpoint
summary: The newest signed checkpoint of a log of the audit trail.
parameters:
  - name: writer
    type: String
    summary: who writes it
  - name: log
    type: String
    summary: the log, as audit-logs names it
example: { writer: node-1, log: 01a20107196000000000 }
*/
SELECT writer, log, seq AS size, text
FROM audit
WHERE writer = {writer:String} AND log = {log:String} AND form = 'checkpoint'
ORDER BY seq DESC
LIMIT 1
