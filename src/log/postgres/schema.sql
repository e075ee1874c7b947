-- The tables of Anchorage's logs in PostgreSQL 12 or newer. A program that may create them runs this file itself.
-- Where it may not, their owner runs it:
--
--   psql -v ON_ERROR_STOP=1 --single-transaction -f schema.sql DATABASE
--
-- It may be run again. For another schema, replace the word "anchorage" below.
-- Then grant each role what it needs (docs/backends/postgres.md, "Privileges"):
--
--   GRANT USAGE ON SCHEMA anchorage TO app;
--   GRANT SELECT ON anchorage.layout TO app;
--   GRANT SELECT, INSERT, UPDATE ON anchorage.logs TO app;
--   GRANT SELECT, INSERT, DELETE ON anchorage.entries TO app;
--   GRANT SELECT, INSERT, UPDATE, DELETE ON anchorage.writers, anchorage.presences TO app;

-- IF NOT EXISTS would ask for the right to make schemas even if it is there.
DO $$ BEGIN
  IF to_regnamespace('anchorage') IS NULL THEN CREATE SCHEMA anchorage; END IF;
END $$;

-- The version of these tables. A program refuses tables of a version that it does not know.
CREATE TABLE IF NOT EXISTS anchorage.layout (version integer NOT NULL);
INSERT INTO anchorage.layout SELECT 1 WHERE NOT EXISTS (SELECT FROM anchorage.layout);

-- One row for each log. An append updates it, so its row lock orders the appends, and indexes have no gaps.
-- Names are bytes of UTF-8, so that a database of any encoding holds them: convert_from(name, 'UTF8').
CREATE TABLE IF NOT EXISTS anchorage.logs (
  log integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name bytea NOT NULL UNIQUE,
  group_name bytea NOT NULL,
  epoch bytea NOT NULL,         -- random, made with the log
  signature bytea NOT NULL,     -- the machine's, when the log was made
  upgrades bytea NOT NULL,      -- JSON: the versions that the group went over to
  first bigint NOT NULL,        -- the oldest index that can be read
  swept bigint NOT NULL,        -- rows up to this index are deleted
  newest bigint NOT NULL,       -- the newest index; 0 if there was none
  newest_at bigint NOT NULL,    -- its time, in milliseconds since 1970
  largest bigint NOT NULL       -- the largest payload ever, in bytes
) WITH (fillfactor = 10);

CREATE TABLE IF NOT EXISTS anchorage.entries (
  log integer NOT NULL,
  index bigint NOT NULL,
  at bigint NOT NULL,           -- the server's clock, in milliseconds since 1970
  writer bigint NOT NULL,       -- who appended it; with seq, the entry's id
  seq bigint NOT NULL,
  kind smallint NOT NULL,       -- 0: a command, 1: an entry of Anchorage's own
  payload bytea NOT NULL,
  PRIMARY KEY (log, index)
);
-- Compression would cost appends more than it saves. It can be switched on: SET STORAGE EXTENDED.
ALTER TABLE anchorage.entries ALTER COLUMN payload SET STORAGE EXTERNAL;

-- One row for each handle that appended. "next" is the first seq that it has not appended, so that a statement
-- that is repeated, or arrives late, appends nothing twice.
CREATE TABLE IF NOT EXISTS anchorage.writers (
  log integer NOT NULL,
  writer bigint NOT NULL,       -- random
  author bytea NOT NULL,
  next bigint NOT NULL,
  at bigint NOT NULL,           -- when it appended last, in milliseconds since 1970
  PRIMARY KEY (log, writer)
) WITH (fillfactor = 10);

CREATE TABLE IF NOT EXISTS anchorage.presences (
  log integer NOT NULL,
  member bytea NOT NULL,
  data bytea NOT NULL,
  ttl_ms double precision NOT NULL,
  at bigint NOT NULL,           -- the server's clock, in microseconds since 1970; it never goes back
  PRIMARY KEY (log, member)
) WITH (fillfactor = 50);
