-- Version 10: what a target told of the tokens of a case (log-probabilities), as one JSON text.
CREATE TABLE traces (
  attempt_id INTEGER PRIMARY KEY REFERENCES attempts (id),
  trace      INTEGER NOT NULL REFERENCES texts (id)
);
