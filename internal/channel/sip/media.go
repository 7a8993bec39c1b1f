package sip

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/pion/rtp"

	"github.com/dialproof/dialproof/internal/channel/sip/prompts"
)

const (
	// frameTime is the sound in one packet, as every trunk takes it (RFC 3551 §4.2).
	frameTime = 20 * time.Millisecond
	// frameSize is the samples of a packet.
	frameSize = prompts.Rate / 50
	// lateMost is how many packets may be sent at once to catch up; beyond, the sound goes on from now.
	lateMost = 10
	// failMost is how many packets in a row may fail to leave.
	failMost = 25
	// maxPacket bounds what is read of a packet, in bytes; longer ones are cut and thrown away.
	maxPacket = 2048
)

// errMedia says that the sound cannot be sent.
var errMedia = errors.New("media")

// media is the sound of one call: what we say, and the keys that are pressed.
type media struct {
	conn *net.UDPConn
	// advertised is the address that the far end sends to.
	advertised netip.AddrPort
	frame      time.Duration
	pressed    func(key byte)
	done       chan struct{}

	mu     sync.Mutex
	far    *session   // where to send; nil before the answer
	source netip.Addr // the server, which may send besides far

	packet rtp.Packet // the next packet's header
	next   time.Time
	fails  int
}

// openMedia opens a socket for a call's sound, on a port of the range.
func openMedia(inside, advertised netip.Addr, first, last int, frame time.Duration,
	pressed func(byte)) (*media, error) {
	var random [10]byte
	_, _ = rand.Read(random[:]) // it never fails
	conn, err := listenMedia(inside, first, last, int(binary.BigEndian.Uint16(random[8:])))
	if err != nil {
		return nil, err
	}
	local, ok := conn.LocalAddr().(*net.UDPAddr)
	if !ok {
		return nil, errMedia
	}
	m := &media{
		conn:       conn,
		advertised: netip.AddrPortFrom(advertised, uint16(local.Port)),
		frame:      frame,
		pressed:    pressed,
		done:       make(chan struct{}),
	}
	m.packet.Header = rtp.Header{
		Version:        2,
		Marker:         true,
		SequenceNumber: binary.BigEndian.Uint16(random[:]),
		Timestamp:      binary.BigEndian.Uint32(random[2:]),
		SSRC:           binary.BigEndian.Uint32(random[4:]),
	}
	go m.listen()
	return m, nil
}

// listenMedia tries the ports of the range, from a random one on, so that a port is not used again at once.
func listenMedia(inside netip.Addr, first, last, from int) (*net.UDPConn, error) {
	if first == 0 {
		return net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(inside, 0)))
	}
	var err error
	for i, n := 0, last-first+1; i < n; i++ {
		var conn *net.UDPConn
		if conn, err = net.ListenUDP("udp",
			net.UDPAddrFromAddrPort(netip.AddrPortFrom(inside, uint16(first+(from+i)%n)))); err == nil {
			return conn, nil
		}
	}
	return nil, err
}

// close ends the sound.
func (m *media) close() {
	_ = m.conn.Close()
	<-m.done
}

// aim tells where the sound goes, and from where besides there it may come.
func (m *media) aim(far *session, server netip.Addr) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.far, m.source = far, server
}

// say sends μ-law samples in real time. It ends early without an error when until is closed. A far end that holds the
// call is waited for.
func (m *media) say(ctx context.Context, audio []byte, until <-chan struct{}) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	<-timer.C
	for len(audio) > 0 {
		timer.Reset(m.wait())
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-until:
			return nil
		case <-timer.C:
		}
		sent, err := m.send(audio[:min(frameSize, len(audio))])
		if err != nil {
			return err
		}
		if sent {
			audio = audio[min(frameSize, len(audio)):]
		}
	}
	return nil
}

// wait returns how long it is until the next packet.
func (m *media) wait() time.Duration {
	now := time.Now()
	if m.next.IsZero() || now.Sub(m.next) > lateMost*m.frame {
		m.next = now
	}
	d := m.next.Sub(now)
	m.next = m.next.Add(m.frame)
	return max(d, 0)
}

// send sends one packet. The clock of the sound goes on whether it leaves or not.
func (m *media) send(samples []byte) (sent bool, err error) {
	m.mu.Lock()
	far := m.far
	m.mu.Unlock()
	defer func() { m.packet.Timestamp += frameSize }()
	if far == nil || far.held() {
		m.packet.Marker = true
		return false, nil
	}
	whole := append(make([]byte, 0, frameSize), samples...)
	for len(whole) < frameSize {
		whole = append(whole, muLawSilence)
	}
	m.packet.PayloadType, m.packet.Payload = far.pt, far.codec.encode(whole)
	raw, err := m.packet.Marshal()
	if err == nil {
		_, err = m.conn.WriteToUDPAddrPort(raw, far.addr)
	}
	if err != nil {
		m.fails++
		if m.fails >= failMost {
			return false, errMedia
		}
		return false, nil
	}
	m.fails, m.packet.Marker = 0, false
	m.packet.SequenceNumber++
	return true, nil
}

// listen reads what the far end sends. Only keys matter. Packets from elsewhere are thrown away: whoever guesses the
// port must not be able to press a key.
func (m *media) listen() {
	defer close(m.done)
	buf := make([]byte, maxPacket)
	for {
		n, from, err := m.conn.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(frameTime) // a passing fault of the network
			continue
		}
		m.mu.Lock()
		far, source := m.far, m.source
		m.mu.Unlock()
		if ip := from.Addr().Unmap(); far == nil || (ip != far.addr.Addr() && ip != source) {
			continue
		}
		if key, ok := keyOf(buf[:n], far.events); ok {
			m.pressed(key)
		}
	}
}

// keyOf returns the key of a telephone that a packet speaks of (RFC 4733 §2.3): "0" to "9", "*" or "#". The packets
// of one press repeat each other, and any of them will do.
func keyOf(raw []byte, events uint8) (key byte, ok bool) {
	var p rtp.Packet
	if events == 0 || p.Unmarshal(raw) != nil || p.Version != 2 || p.PayloadType != events || len(p.Payload) < 4 {
		return 0, false
	}
	const keys = "0123456789*#"
	if e := int(p.Payload[0]); e < len(keys) {
		return keys[e], true
	}
	return 0, false
}

// silence returns samples of no sound.
func silence(d time.Duration) []byte {
	out := make([]byte, int(d*prompts.Rate/time.Second))
	for i := range out {
		out[i] = muLawSilence
	}
	return out
}
