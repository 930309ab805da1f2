-- Version 9: a case may have several turns. The attempt's row holds the first one; these are the
-- others: what was said to the answer before, and what was answered to that.
CREATE TABLE exchanges (
  attempt_id        INTEGER NOT NULL REFERENCES attempts (id),
  seq               INTEGER NOT NULL,                        -- 2, 3, ...
  said              INTEGER NOT NULL REFERENCES texts (id),  -- JSON list of messages
  text              INTEGER NOT NULL REFERENCES texts (id),
  reasoning         INTEGER NOT NULL REFERENCES texts (id),
  content           INTEGER NOT NULL REFERENCES texts (id),
  tool_calls        INTEGER NOT NULL REFERENCES texts (id),
  finish_reason     TEXT NOT NULL,
  prompt_tokens     INTEGER NOT NULL,
  completion_tokens INTEGER NOT NULL,
  cached_tokens     INTEGER NOT NULL,
  sent_s            REAL NOT NULL,       -- since the first turn was sent
  first_token_s     REAL NOT NULL,       -- since this one was; -1 = no token came
  end_s             REAL NOT NULL,
  events            TEXT NOT NULL,       -- JSON list of [time_s, n_tokens]
  PRIMARY KEY (attempt_id, seq)
) WITHOUT ROWID;
