-- Version 4: what the memory guard did to a launch, as JSON (docs/guard.md). '' when it did nothing.
ALTER TABLE launches ADD COLUMN guard TEXT NOT NULL DEFAULT '';
