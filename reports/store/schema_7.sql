-- Version 7: outcomes are classes (docs/outcomes.md), attempts have one too, and a launch is written
-- down when it begins, so that one that never ended can be told from one at work.
ALTER TABLE launches ADD COLUMN notes TEXT NOT NULL DEFAULT '';        -- one observation a line
ALTER TABLE launches ADD COLUMN boot_id TEXT NOT NULL DEFAULT '';      -- of the kernel
ALTER TABLE launches ADD COLUMN machine TEXT NOT NULL DEFAULT '';      -- a mark without a meaning
ALTER TABLE launches ADD COLUMN supervisor_pid INTEGER NOT NULL DEFAULT 0;
ALTER TABLE launches ADD COLUMN supervisor_ticks INTEGER NOT NULL DEFAULT 0;
ALTER TABLE launches ADD COLUMN oom_kills INTEGER NOT NULL DEFAULT 0;  -- the kernel's, at the begin
ALTER TABLE launches ADD COLUMN telemetry TEXT NOT NULL DEFAULT '';    -- path
ALTER TABLE attempts ADD COLUMN outcome TEXT NOT NULL DEFAULT '';
ALTER TABLE attempts ADD COLUMN note TEXT NOT NULL DEFAULT '';

-- Older rows are renamed as far as their columns tell; ds4-sweep rescore looks at the answers anew.
UPDATE launches SET outcome = CASE
  WHEN outcome = 'crash' THEN 'KERNEL_CRASH'
  WHEN outcome = 'killed' THEN 'KILLED'
  WHEN outcome = 'timeout' AND message LIKE 'the cell took longer%' THEN 'TIMEOUT'
  WHEN outcome = 'timeout' THEN 'HANG'
  WHEN outcome = 'error' AND message LIKE 'out of memory%' THEN CASE
    WHEN phase IN ('start', 'load') THEN 'LOAD_OOM'
    WHEN phase = 'warm-up' THEN 'CAPTURE_OOM'
    ELSE 'DECODE_OOM' END
  WHEN outcome = 'error' AND phase NOT IN ('start', 'load', 'warm-up') THEN 'KERNEL_CRASH'
  WHEN outcome = 'error' AND exit_code = 2 THEN 'LOAD_INCOMPATIBLE'
  WHEN outcome = 'error' THEN 'PREFLIGHT_REFUSED'
  ELSE outcome END;
UPDATE attempts SET outcome = CASE
  WHEN status = 'cancelled' THEN 'interrupted'
  WHEN status = 'error' AND error LIKE '%`limits.case_timeout`%' THEN 'TIMEOUT'
  WHEN status = 'error' THEN 'API_ERROR'
  ELSE coalesce((
    SELECT CASE
      WHEN s.grade = 'correct' THEN 'ok'
      WHEN s.grade = 'invalid' AND finish_reason = 'length' THEN 'TRUNCATED_BY_BUDGET'
      WHEN s.grade = 'invalid' THEN 'API_ERROR'
      WHEN EXISTS (SELECT 1 FROM score_values v WHERE v.score_id = s.id AND v.name = 'near_miss'
                   AND v.value > 0) THEN 'NEAR_MISS'
      ELSE 'WRONG_ANSWER' END
    FROM latest_scores s WHERE s.attempt_id = attempts.id), '')
  END;

-- As before, without the times of contaminated attempts.
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
  FROM attempts a WHERE a.status = 'ok' AND a.first_token_s >= 0 AND a.outcome <> 'CONTAMINATED';
