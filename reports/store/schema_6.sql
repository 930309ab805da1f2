-- Version 6: a sweep may run in shards, on several machines, and be joined again (`merge`).
ALTER TABLE runs ADD COLUMN sweep TEXT NOT NULL DEFAULT '';       -- what shards of one sweep share
ALTER TABLE runs ADD COLUMN sweep_id TEXT NOT NULL DEFAULT '';    -- tells two nights apart
ALTER TABLE runs ADD COLUMN shard INTEGER NOT NULL DEFAULT 0;     -- 0 = every cell is this run's
ALTER TABLE runs ADD COLUMN shards INTEGER NOT NULL DEFAULT 1;
ALTER TABLE cells ADD COLUMN shard INTEGER NOT NULL DEFAULT 0;    -- whose cell it is; 0 = the run's
ALTER TABLE launches ADD COLUMN part INTEGER NOT NULL DEFAULT 0;  -- 0 = made by this run itself
ALTER TABLE attempts ADD COLUMN part INTEGER NOT NULL DEFAULT 0;

-- The runs that a joined run was made of.
CREATE TABLE parts (
  run_id       TEXT NOT NULL REFERENCES runs (id),
  number       INTEGER NOT NULL,         -- 1, 2, ...
  source_id    TEXT NOT NULL UNIQUE,     -- UUID of the run it was
  shard        INTEGER NOT NULL,
  machine      TEXT NOT NULL,            -- JSON
  command_line TEXT NOT NULL,
  started_at   TEXT NOT NULL,
  finished_at  TEXT NOT NULL,
  PRIMARY KEY (run_id, number)
);

-- As before, without the cells of other shards.
DROP VIEW cell_summary;
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
  FROM cells c JOIN runs r ON r.id = c.run_id
  WHERE r.shard IN (0, c.shard);
