package channel

// Status is how far a delivery has come. docs/architecture.md draws the machine.
type Status string

// The statuses of a delivery.
const (
	Queued      Status = "queued"      // written down, nobody has tried yet
	Sending     Status = "sending"     // an attempt is written down and under way
	Taken       Status = "accepted"    // the provider took it
	Sent        Status = "sent"        // the provider handed it to the carrier
	Delivered   Status = "delivered"   // the handset has it
	Undelivered Status = "undelivered" // the carrier or the handset said no
	Failed      Status = "failed"      // it never left
	Unknown     Status = "unknown"     // it may have left: the provider's answer was lost
)

// rank orders the statuses in the direction of time; a receipt may only move a delivery up.
func (s Status) rank() int {
	switch s {
	case Queued:
		return 0
	case Sending:
		return 1
	case Unknown:
		return 2
	case Taken:
		return 3
	case Sent:
		return 4
	case Delivered, Undelivered, Failed:
		return 5
	}
	return -1
}

// Valid reports whether s is one of the statuses.
func (s Status) Valid() bool { return s.rank() >= 0 }

// Final reports whether nothing more can happen to the delivery.
func (s Status) Final() bool { return s.rank() == 5 }

// Advance returns the status after news, and whether the news changed it. News that comes late, twice or
// out of order never takes a delivery back, and a final status stays as it is.
func (s Status) Advance(news Status) (Status, bool) {
	if !news.Valid() || s.Final() || news.rank() <= s.rank() {
		return s, false
	}
	return news, true
}
