package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/dialproof/dialproof/internal/config"
)

type storeCmd struct {
	Backup  storeBackupCmd  `cmd:"" help:"Write a copy of the SQLite store to a file, while the server runs."`
	Restore storeRestoreCmd `cmd:"" help:"Put a backup in the place of the SQLite store."`
	Copy    storeCopyCmd    `cmd:"" help:"Copy the SQLite store to PostgreSQL, while the server runs, and move there."`
	Check   storeCheckCmd   `cmd:"" help:"Check that the SQLite store is whole, while the server runs."`
	Repair  storeRepairCmd  `cmd:"" help:"Open a SQLite store again whose newest changes are damaged, without them."`
}

// Help has the examples.
func (storeCmd) Help() string {
	return `These are the operator's tools for what is kept. PostgreSQL has its own for backups (pg_dump,
pg_basebackup): docs/operations.md says how to use them.

Examples:
  dialproof store backup /backup/dialproof-$(date +%F).db
  dialproof store restore /backup/dialproof-2026-11-23.db
  dialproof store copy --to new.yaml`
}

type storeBackupCmd struct {
	storeFlag
	File string `arg:"" type:"path" help:"The file to write. It must not exist yet."`
}

// Help has the examples.
func (storeBackupCmd) Help() string {
	return `The copy is the state of one moment, whole and checked. It holds numbers, sealed: it is of no use without
the key ring, and must be kept apart from it. Deliveries that are under way at that moment are in it, and are sent
again after a restore while their codes live.

Examples:
  dialproof store backup /backup/dialproof-$(date +%F).db
  dialproof store backup --data .dialproof copy.db`
}

// Run backs up.
func (c storeBackupCmd) Run(ctx context.Context, w world) error {
	cfg, err := c.load(w)
	if err != nil {
		return err
	}
	if err := onSQLite(cfg); err != nil {
		return err
	}
	if err := w.app.backup(ctx, cfg, c.File); err != nil {
		return err
	}
	fmt.Fprintf(w.Out, "backed up to %s\n", c.File)
	return nil
}

// onSQLite refuses the tools of SQLite for PostgreSQL.
func onSQLite(cfg config.Config) error {
	if cfg.Store.Driver == config.SQLite {
		return nil
	}
	return usageError{
		errors.New(
			"the configuration's store is PostgreSQL, which has tools of its own for this; docs/operations.md says how to " +
				"use them")}
}

type storeRestoreCmd struct {
	storeFlag
	File string `arg:"" type:"existingfile" help:"The backup."`
}

// Help has the examples.
func (storeRestoreCmd) Help() string {
	return `Stop the server first. What the store held stays beside it under another name, which is printed. What
happened since the backup is gone: verifications that began since, and the counts of limits and wrong codes.

Example:
  dialproof store restore /backup/dialproof-2026-11-23.db`
}

// Run restores.
func (c storeRestoreCmd) Run(ctx context.Context, w world) error {
	cfg, err := c.load(w)
	if err != nil {
		return err
	}
	if err := onSQLite(cfg); err != nil {
		return err
	}
	before, err := w.app.restore(ctx, cfg, c.File)
	if err != nil {
		return err
	}
	fmt.Fprintf(w.Out, "restored from %s\n", c.File)
	if before != "" {
		fmt.Fprintf(w.Out, "what was there before is %s\n", before)
	}
	return nil
}

type storeCopyCmd struct {
	configFlag
	To    string `type:"path" placeholder:"FILE" help:"The configuration of the nodes on PostgreSQL. It has the same keys."`
	Final bool   `help:"Take the old store over and close it: the last copy, with the server stopped."`
	Undo  bool   `help:"Open a store again that a final copy has closed. What PostgreSQL took since is not in it."`
}

// Help has the examples.
func (storeCopyCmd) Help() string {
	return `It makes PostgreSQL equal to the SQLite store and writes only what differs. So copy once while the server
runs, which may take a while; then stop the server, copy with --final, which is short, and start the nodes with the
new configuration. The old file stays, and no server opens it any more.

Examples:
  dialproof store copy --to new.yaml            # the server runs
  dialproof store copy --to new.yaml --final    # the server is stopped
  dialproof serve --config new.yaml`
}

// Run copies.
func (c storeCopyCmd) Run(ctx context.Context, w world) error {
	from, err := c.load(w)
	if err != nil {
		return err
	}
	if err := onSQLite(from); err != nil {
		return err
	}
	if c.Undo {
		if err := w.app.uncopy(ctx, from); err != nil {
			return err
		}
		fmt.Fprintln(w.Out, "the store can be served again")
		return nil
	}
	if c.To == "" {
		return usageError{errors.New("say where to: --to names the configuration of the nodes on PostgreSQL")}
	}
	to, err := configFlag{Config: c.To}.load(w)
	if err != nil {
		return err
	}
	return w.app.copy(ctx, from, to, c.Final, w.Out)
}

type storeCheckCmd struct {
	storeFlag
}

// Help has the examples.
func (storeCheckCmd) Help() string {
	return `It reads the whole file and verifies the checksum of each segment of the journal, which holds the newest
changes. Nothing is written.

Examples:
  dialproof store check
  dialproof store check --data .dialproof`
}

// Run checks.
func (c storeCheckCmd) Run(ctx context.Context, w world) error {
	cfg, err := c.load(w)
	if err != nil {
		return err
	}
	if err := onSQLite(cfg); err != nil {
		return err
	}
	if err := w.app.check(ctx, cfg); err != nil {
		return err
	}
	fmt.Fprintln(w.Out, "the store is whole")
	return nil
}

type storeRepairCmd struct {
	storeFlag
}

// Help has the examples.
func (storeRepairCmd) Help() string {
	return `A server does not start on a store whose journal is damaged: changes that were acknowledged are missing
then, and codes that were used could be used again. Restore a backup if you can. Otherwise stop the server and run
this command. It moves the damaged segments to the table "quarantine", keeps everything else, and prints what was lost.

Examples:
  dialproof store check
  dialproof store repair`
}

// Run repairs.
func (c storeRepairCmd) Run(ctx context.Context, w world) error {
	cfg, err := c.load(w)
	if err != nil {
		return err
	}
	if err := onSQLite(cfg); err != nil {
		return err
	}
	return w.app.repair(ctx, cfg, w.Out)
}
