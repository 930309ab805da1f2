-- Version 5: the order in which a run launches its cells is written down before the first of them
-- begins, and every decision about it when it is made, so that a resumed run goes on as it began.
-- Attempts say which launch made them.
ALTER TABLE attempts ADD COLUMN launch INTEGER NOT NULL DEFAULT 0;  -- launches.number; 0 = not known

CREATE TABLE queue (
  run_id     TEXT NOT NULL,
  ordinal    INTEGER NOT NULL,           -- running order
  cell_key   TEXT NOT NULL,              -- once per repeat
  need_bytes INTEGER NOT NULL,           -- predicted memory; 0 = not predicted
  again_of   INTEGER NOT NULL,           -- the ordinal of the turn this one repeats; -1 = none
  state      TEXT NOT NULL CHECK (state IN ('waiting', 'done', 'slow', 'skipped', 'refused')),
  reason     TEXT NOT NULL,              -- of a state that is neither waiting nor done
  PRIMARY KEY (run_id, ordinal),
  FOREIGN KEY (run_id, cell_key) REFERENCES cells (run_id, key)
) WITHOUT ROWID;

INSERT INTO queue
  SELECT run_id, row_number() OVER (PARTITION BY run_id ORDER BY ordinal, key) - 1, key, 0, -1,
         'waiting', ''
  FROM cells;
