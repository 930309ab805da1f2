-- Version 2: a sweep may vary the checkpoint, so each cell says which one it had. '' in older rows
-- and for targets without a checkpoint.
ALTER TABLE cells ADD COLUMN checkpoint_path TEXT NOT NULL DEFAULT '';
ALTER TABLE cells ADD COLUMN checkpoint_identity TEXT NOT NULL DEFAULT '';
