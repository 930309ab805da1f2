-- Version 3: names for runs that others are held against.
CREATE TABLE baselines (
  name   TEXT PRIMARY KEY,
  run_id TEXT NOT NULL REFERENCES runs (id),
  set_at TEXT NOT NULL                   -- ISO 8601, UTC
) WITHOUT ROWID;
