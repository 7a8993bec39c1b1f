package smpp

import (
	"testing"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/channeltest"
)

// BenchmarkSend is messages with their receipts over loopback, to a centre in the same process.
func BenchmarkSend(b *testing.B) {
	for name, binds := range map[string]int{"1 session": 1, "4 sessions": 4} {
		b.Run(name, func(b *testing.B) {
			centre := &smsc{receipts: true, forgetful: true}
			c := settings(centre.listen(b))
			c.Binds, c.Window = binds, 64
			r := prepare(b, c)
			r.receipts = make(chan channel.Receipt, b.N+1)
			r.run(b)
			m := channeltest.Message(channel.SMS)
			b.ReportAllocs()
			b.SetParallelism(64)
			b.ResetTimer()
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					if _, err := r.Send(b.Context(), m); err != nil {
						b.Error(err)
						return
					}
				}
			})
			for range b.N {
				<-r.receipts
			}
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
		})
	}
}
