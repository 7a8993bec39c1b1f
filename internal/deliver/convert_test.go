package deliver

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/phone"
)

// TestConversionsAtAnyRate: a busy node remembers some of its sends for as long as it takes to see what becomes of
// them, and all while they are few.
func TestConversionsAtAnyRate(t *testing.T) {
	t.Parallel()
	for rate, seconds := range map[int]int{50: 120, 150: 120, 1_000: 90, 5_000: 60} {
		now := time.Unix(1_800_000_000, 0)
		c := NewConversions(func() time.Time { return now }, 1)
		ids, random := id.NewSource(id.ID{}), rand.New(rand.NewPCG(uint64(rate), 0))
		to, err := phone.Parse("+4915112345678", "")
		if err != nil {
			t.Fatal(err)
		}
		most := 0
		for range seconds {
			for i := range rate {
				now = now.Add(time.Second / time.Duration(rate))
				v := ids.New(now)
				c.Sent(v, "good", to)
				if random.IntN(10) < 8 {
					c.Typed(v)
				}
				if i%100 == 0 {
					most = max(most, len(c.queue))
				}
			}
		}
		seen := c.trends["good"]
		if most > maxPending || seen == nil || rate < 180 && seen.n < rate*(seconds-46) ||
			seen.n < 80*(seconds-46) && seen.n < rate*(seconds-46) {
			t.Errorf("at %d a second: %d remembered at most, verdicts %+v", rate, most, seen)
			continue
		}
		if share, of := c.rate("good", prefixOf(to)); share < 0.65 || share > 0.95 || of < 50 {
			t.Errorf("at %d a second: %.2f of %.0f were typed, want about 0.8", rate, share, of)
		}
	}
}
