package app

import (
	"time"

	"github.com/dialproof/dialproof/internal/config"
	"github.com/dialproof/dialproof/internal/limit"
	"github.com/dialproof/dialproof/internal/verify"
)

// limits returns the core's limits as the configuration sets them. 0 turns a limit off.
func limits(c config.Limits) verify.Limits {
	l := verify.DefaultLimits()
	l.Sends.Gaps = c.NumberGaps
	l.Sends.Windows = nil
	for _, w := range []limit.Window{{Name: "number_hour", Max: c.NumberHour, Span: time.Hour},
		{Name: "number_day", Max: c.NumberDay, Span: 24 * time.Hour}} {
		if w.Max > 0 {
			l.Sends.Windows = append(l.Sends.Windows, w)
		}
	}
	l.Wrong.Burst = c.WrongDay
	l.MaxStreak = c.WrongStreak
	l.Client = []limit.Rate{
		{Name: "client_hour", Burst: c.ClientHour, Period: time.Hour},
		{Name: "client_day", Burst: c.ClientDay, Period: 24 * time.Hour},
	}
	return l
}
