package postgres_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/dialproof/dialproof/internal/pgtest"
	"github.com/dialproof/dialproof/internal/store/postgres"
	"github.com/dialproof/dialproof/internal/store/storetest"
)

// failAtCommit makes every COMMIT that has changed a row fail while the table planned has one.
const failAtCommit = `CREATE TABLE planned ();
CREATE FUNCTION planned() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF EXISTS (SELECT FROM planned) THEN RAISE
  EXCEPTION 'planned'; END IF; RETURN NULL; END $$;
DO $$ DECLARE name text; BEGIN
  FOREACH name IN ARRAY ARRAY['numbers', 'verifications', 'jobs', 'limits', 'replays', 'sent', 'webhooks',
    'events', 'applications', 'api_keys', 'versions', 'leases'] LOOP
    EXECUTE format('CREATE CONSTRAINT TRIGGER planned AFTER INSERT OR UPDATE OR DELETE ON %I DEFERRABLE INITIALLY
      DEFERRED FOR EACH ROW EXECUTE FUNCTION planned()', name);
  END LOOP;
END $$`

// failedCommits fails commits of every kind of work, when all has been written.
func failedCommits(t *testing.T, server *pgtest.Server) {
	storetest.RunFailedCommits(t, func(t *testing.T) (storetest.FailingStore, func(bool)) {
		t.Helper()
		dsn := server.Fresh()
		db := opened(t, postgres.Options{DSN: dsn, Migrate: true, Connections: 6, Lanes: 2})
		exec := func(sql string) {
			t.Helper()
			c, err := pgx.Connect(t.Context(), dsn)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close(context.Background())
			if _, err := c.Exec(t.Context(), sql); err != nil {
				t.Fatal(fmt.Errorf("%s: %w", sql, err))
			}
		}
		exec(failAtCommit)
		return db, func(yes bool) {
			if yes {
				exec(`INSERT INTO planned DEFAULT VALUES`)
			} else {
				exec(`DELETE FROM planned`)
			}
		}
	})
}
