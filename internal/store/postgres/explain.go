package postgres

import (
	"context"
	"errors"
	"io"
	"net"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dialproof/dialproof/internal/store"
)

var _ store.Explainer = (*Engine)(nil)

// Explain implements store.Explainer.
func (*Engine) Explain(err error) string { return Explain(err) }

// Explain returns in words why a server cannot be used; empty when that is not known. It names no address.
func Explain(err error) string {
	if errors.Is(err, ErrBehind) {
		return ErrBehind.Error()
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch e.Code {
		case "53100":
			return "the disk of the database server is full"
		case "53300":
			return "the database server has no connection left"
		case "25006":
			return "the database server can only be read: it is a replica, or was made to refuse writes"
		case "57P03":
			return "the database server is starting or stopping"
		case "57014", "25P03":
			return "the database server took too long"
		}
		switch e.Code[:min(len(e.Code), 2)] {
		case "08", "57":
			return "the database server has closed the connection"
		case "53", "58":
			return "the database server lacks resources"
		}
		return ""
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		if errors.Is(err, pgconn.ErrReadOnlyConnection) {
			return "the database server can only be read: it is a replica, or was made to refuse writes"
		}
		return "the database server cannot be reached"
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "the database server did not answer in time"
	}
	if _, ok := errors.AsType[net.Error](err); ok || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return "the connection to the database server is broken"
	}
	return ""
}

// Temporary reports whether opening the store may succeed later without anything but the server having changed: it
// cannot be reached, is starting, is full, or cannot be written. A wrong password or the name of no database is none of
// these.
func Temporary(err error) bool {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return faultOf(e) != faultWork
	}
	return Explain(err) != ""
}
