-- Version 1 of the results database; docs/schema.md explains every table and view. schema_2.sql ..
-- are the steps since.
-- Rows are raw: no average is ever stored. Times named *_s are seconds on a monotonic clock.

CREATE TABLE runs (
  id                  TEXT PRIMARY KEY,  -- UUID
  profile_name        TEXT NOT NULL,
  profile_path        TEXT NOT NULL,
  profile_text        TEXT NOT NULL,     -- the file's bytes
  resolved_profile    TEXT NOT NULL,     -- JSON
  commit_hash         TEXT NOT NULL,
  dirty               INTEGER NOT NULL CHECK (dirty IN (0, 1)),
  version             TEXT NOT NULL,
  machine             TEXT NOT NULL,     -- JSON
  checkpoint_path     TEXT NOT NULL,
  checkpoint_identity TEXT NOT NULL,     -- '' for targets without a checkpoint
  command_line        TEXT NOT NULL,
  started_at          TEXT NOT NULL,     -- ISO 8601, UTC
  finished_at         TEXT NOT NULL      -- '' = interrupted or still running
);

CREATE TABLE cells (
  run_id    TEXT NOT NULL REFERENCES runs (id),
  key       TEXT NOT NULL,               -- first 16 hex digits of sha256(semantics)
  ordinal   INTEGER NOT NULL,            -- order in the sweep
  label     TEXT NOT NULL,
  semantics TEXT NOT NULL,               -- canonical JSON of what is measured
  settings  TEXT NOT NULL,               -- JSON: what a resume runs again
  PRIMARY KEY (run_id, key)
);

-- What each cell was meant to run; a row without an attempt that is ok is a case not measured.
CREATE TABLE planned_cases (
  run_id   TEXT NOT NULL,
  cell_key TEXT NOT NULL,
  ordinal  INTEGER NOT NULL,             -- running order within the cell
  suite    TEXT NOT NULL,
  case_id  TEXT NOT NULL,
  tags     TEXT NOT NULL,                -- JSON object of strings
  PRIMARY KEY (run_id, cell_key, suite, case_id),
  FOREIGN KEY (run_id, cell_key) REFERENCES cells (run_id, key)
) WITHOUT ROWID;

CREATE TABLE launches (
  id         INTEGER PRIMARY KEY,
  run_id     TEXT NOT NULL,
  cell_key   TEXT NOT NULL,
  number     INTEGER NOT NULL,           -- 1, 2, ... per run and cell
  outcome    TEXT NOT NULL,
  phase      TEXT NOT NULL,
  exit_code  INTEGER NOT NULL,
  signal     INTEGER NOT NULL,
  message    TEXT NOT NULL,
  log_tail   TEXT NOT NULL,
  seconds    REAL NOT NULL,
  started_at TEXT NOT NULL,
  UNIQUE (run_id, cell_key, number),
  FOREIGN KEY (run_id, cell_key) REFERENCES cells (run_id, key)
);

CREATE TABLE launch_samples (
  launch_id INTEGER NOT NULL REFERENCES launches (id),
  seq       INTEGER NOT NULL,
  metric    TEXT NOT NULL,
  value     REAL NOT NULL,
  time_s    REAL NOT NULL,
  phase     TEXT NOT NULL,
  PRIMARY KEY (launch_id, seq)
) WITHOUT ROWID;

-- Every distinct text once. `data` is the bytes themselves (raw) or one zstd frame.
CREATE TABLE texts (
  id       INTEGER PRIMARY KEY,
  sha256   TEXT NOT NULL UNIQUE,         -- of the uncompressed bytes
  size     INTEGER NOT NULL,             -- uncompressed bytes
  encoding TEXT NOT NULL CHECK (encoding IN ('raw', 'zstd')),
  data     BLOB NOT NULL
);

CREATE TABLE attempts (
  id                INTEGER PRIMARY KEY,
  run_id            TEXT NOT NULL,
  cell_key          TEXT NOT NULL,
  suite             TEXT NOT NULL,
  suite_version     INTEGER NOT NULL,
  case_id           TEXT NOT NULL,
  number            INTEGER NOT NULL,    -- 1, 2, ... per run, cell, suite and case
  status            TEXT NOT NULL,
  tags              TEXT NOT NULL,       -- JSON object of strings
  prompt            INTEGER NOT NULL REFERENCES texts (id),
  expected          INTEGER NOT NULL REFERENCES texts (id),
  text              INTEGER NOT NULL REFERENCES texts (id),
  reasoning         INTEGER NOT NULL REFERENCES texts (id),
  content           INTEGER NOT NULL REFERENCES texts (id),
  tool_calls        INTEGER NOT NULL REFERENCES texts (id),
  finish_reason     TEXT NOT NULL,
  error             TEXT NOT NULL,
  prompt_tokens     INTEGER NOT NULL,
  completion_tokens INTEGER NOT NULL,
  cached_tokens     INTEGER NOT NULL,
  first_token_s     REAL NOT NULL,       -- since submission; -1 = no token came
  end_s             REAL NOT NULL,
  started_at        TEXT NOT NULL,
  UNIQUE (run_id, cell_key, suite, case_id, number),
  FOREIGN KEY (run_id, cell_key) REFERENCES cells (run_id, key)
);

CREATE TABLE events (
  attempt_id INTEGER NOT NULL REFERENCES attempts (id),
  seq        INTEGER NOT NULL,
  time_s     REAL NOT NULL,              -- since submission
  n_tokens   INTEGER NOT NULL,
  PRIMARY KEY (attempt_id, seq)
) WITHOUT ROWID;

CREATE TABLE samples (
  attempt_id INTEGER NOT NULL REFERENCES attempts (id),
  seq        INTEGER NOT NULL,
  metric     TEXT NOT NULL,
  value      REAL NOT NULL,
  time_s     REAL NOT NULL,
  phase      TEXT NOT NULL,
  PRIMARY KEY (attempt_id, seq)
) WITHOUT ROWID;

-- A rescore adds rows; the newest (largest id) of an attempt counts.
CREATE TABLE scores (
  id            INTEGER PRIMARY KEY,
  attempt_id    INTEGER NOT NULL REFERENCES attempts (id),
  suite_version INTEGER NOT NULL,
  grade         TEXT NOT NULL CHECK (grade IN ('correct', 'wrong', 'invalid')),
  extracted     TEXT NOT NULL,
  explanation   TEXT NOT NULL
);
CREATE INDEX scores_by_attempt ON scores (attempt_id);

CREATE TABLE score_values (
  score_id INTEGER NOT NULL REFERENCES scores (id),
  name     TEXT NOT NULL,
  value    REAL NOT NULL,
  PRIMARY KEY (score_id, name)
) WITHOUT ROWID;

CREATE VIEW latest_scores AS
  SELECT s.* FROM scores s
  WHERE s.id = (SELECT max(t.id) FROM scores t WHERE t.attempt_id = s.attempt_id);

-- The speed metrics of docs/glossary.md, one row per attempt that is ok and produced a token.
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
  FROM attempts a WHERE a.status = 'ok' AND a.first_token_s >= 0;

-- One row per cell: how it ended and how much of it was measured.
CREATE VIEW cell_summary AS
  SELECT c.run_id, c.key AS cell_key, c.ordinal, c.label,
         (SELECT l.outcome FROM launches l WHERE l.run_id = c.run_id AND l.cell_key = c.key
          ORDER BY l.number DESC LIMIT 1) AS outcome,
         (SELECT count(*) FROM launches l
          WHERE l.run_id = c.run_id AND l.cell_key = c.key) AS launches,
         (SELECT total(l.seconds) FROM launches l
          WHERE l.run_id = c.run_id AND l.cell_key = c.key) AS seconds,
         (SELECT count(*) FROM planned_cases p
          WHERE p.run_id = c.run_id AND p.cell_key = c.key) AS cases_planned,
         (SELECT count(*) FROM (SELECT DISTINCT a.suite, a.case_id FROM attempts a
          WHERE a.run_id = c.run_id AND a.cell_key = c.key AND a.status = 'ok')) AS cases_ok,
         (SELECT count(*) FROM attempts a WHERE a.run_id = c.run_id AND a.cell_key = c.key
          AND a.status <> 'ok') AS attempts_failed
  FROM cells c;

-- Scores per cell, suite and score name: the mean over cases that have a verdict (repeats of a case
-- are averaged first). An invalid answer has no values: n_invalid counts the suite's cases without a
-- verdict. Intervals are made by the program (docs/method.md).
CREATE VIEW figures AS
  WITH per_case AS (
    SELECT a.run_id, a.cell_key, a.suite, a.case_id, v.name, avg(v.value) AS value
    FROM attempts a
    JOIN latest_scores s ON s.attempt_id = a.id AND s.grade <> 'invalid'
    JOIN score_values v ON v.score_id = s.id
    WHERE a.status = 'ok'
    GROUP BY a.run_id, a.cell_key, a.suite, a.case_id, v.name),
  no_verdict AS (
    SELECT run_id, cell_key, suite, count(*) AS n FROM (
      SELECT a.run_id, a.cell_key, a.suite FROM attempts a
      JOIN latest_scores s ON s.attempt_id = a.id
      WHERE a.status = 'ok'
      GROUP BY a.run_id, a.cell_key, a.suite, a.case_id
      HAVING sum(s.grade <> 'invalid') = 0)
    GROUP BY run_id, cell_key, suite)
  SELECT c.run_id, c.cell_key, c.suite, c.name, avg(c.value) AS value, count(*) AS n,
         coalesce(max(i.n), 0) AS n_invalid
  FROM per_case c LEFT JOIN no_verdict i
    ON i.run_id = c.run_id AND i.cell_key = c.cell_key AND i.suite = c.suite
  GROUP BY c.run_id, c.cell_key, c.suite, c.name;
