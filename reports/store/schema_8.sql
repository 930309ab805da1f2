-- Version 8: what the target of a launch could do, and which suites it was not asked for lack of it;
-- counts that cannot be true (MISCOUNTED) spoil speeds as contamination does.
ALTER TABLE launches ADD COLUMN target TEXT NOT NULL DEFAULT '';   -- JSON; '' = not told
ALTER TABLE launches ADD COLUMN skipped TEXT NOT NULL DEFAULT '';  -- JSON: suite -> reason

DROP VIEW attempt_metrics;
CREATE VIEW attempt_metrics AS
  SELECT a.id AS attempt_id, a.run_id, a.cell_key, a.suite, a.case_id, a.tags,
         a.prompt_tokens, a.completion_tokens,
         a.first_token_s AS ttft,
         CASE WHEN a.first_token_s > 0 AND a.prompt_tokens > a.cached_tokens
              THEN (a.prompt_tokens - a.cached_tokens) / a.first_token_s END AS prefill_rate,
         (SELECT CASE WHEN max(e.time_s) > min(e.time_s)
                      THEN (sum(e.n_tokens) - sum(CASE WHEN e.seq = 0 THEN e.n_tokens ELSE 0 END))
                           / (max(e.time_s) - min(e.time_s)) END
          FROM events e WHERE e.attempt_id = a.id) AS decode_rate
  FROM attempts a WHERE a.status = 'ok' AND a.first_token_s >= 0
                    AND a.outcome NOT IN ('CONTAMINATED', 'MISCOUNTED');
