  -- Kinds of gaps in which something was never judged, rather than late, out of order, or with less than there was to know.
  ['retention', 'unapplied', 'silent', 'restarted', 'dropped', 'unreadable'] AS blindKinds,
  -- Each gap as it was last stated, with its bounds.
  stated AS
  (
    SELECT
      *,
      JSONExtractString(evidence, 'kind') AS kind,
      JSONExtractBool(evidence, 'open') AS open,
      JSONExtractUInt(evidence, 'count') AS events,
      if(JSONHas(evidence, 'earliest'), least(windowFrom, fromUnixTimestamp64Milli(JSONExtractInt(evidence, 'earliest'), 'UTC')), windowFrom) AS begins,
      if(JSONHas(evidence, 'latest'), greatest(windowUntil, fromUnixTimestamp64Milli(JSONExtractInt(evidence, 'latest'), 'UTC')), windowUntil) AS ends
    FROM
    (
      SELECT *
      FROM findings
      WHERE detector IN ('blindness', 'coverage')
      ORDER BY finding, revision DESC, `offset` DESC
      LIMIT 1 BY finding
    )
    WHERE begins < askedUntil AND (open OR ends >= askedFrom)
  ),
