package sip

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtp"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/sip/prompts"

	"github.com/dialproof/dialproof/internal/testport"
)

// program starts a program of Debian's and ends it with the test. Without the program the test fails: a test that
// skips itself proves nothing.
func program(t *testing.T, dir, name, from string, args ...string) (output *logged, ended chan error) {
	t.Helper()
	if testing.Short() {
		t.Skip("a call to another program takes half a minute")
	}
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is missing: install it (Debian: apt-get install %s), or leave these tests out by go test -short", name,
			from)
	}
	cmd := exec.CommandContext(context.Background(), path, args...)
	output = &logged{}
	cmd.Stdout, cmd.Stderr, cmd.Dir = output, output, dir
	must(t, cmd.Start())
	ended = make(chan error, 1)
	var waited sync.WaitGroup
	waited.Go(func() { ended <- cmd.Wait() })
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		waited.Wait()
	})
	return output, ended
}

// freePort returns a UDP port that nobody has.
func freePort(t *testing.T) int {
	t.Helper()
	return testport.Free(t)
}

// sipp runs a scenario of SIPp's and answers a route to it.
func sipp(t *testing.T, scenario string, keys map[string]string, change func(*Config)) (*route, func()) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "sipp", scenario+".xml"))
	must(t, err)
	for key, value := range keys { // SIPp's own -key does not work in the first line
		text = bytes.ReplaceAll(text, []byte("["+key+"]"), []byte(value))
	}
	file := filepath.Join(t.TempDir(), "scenario.xml")
	must(t, os.WriteFile(file, text, 0o600))
	port := freePort(t)
	args := []string{"-sf", file, "-i", "127.0.0.1", "-p", itoa(port), "-m", "1", "-nostdin", "-timeout", "60",
		"-trace_err", "-error_file", "/dev/stderr"}
	output, ended := program(t, t.TempDir(), "sipp", "sip-tester", args...)
	c := settings(&peer{})
	c.Server, c.Probe = "127.0.0.1:"+itoa(port), false // SIPp takes an OPTIONS for a fault of its scenario
	r := newRouteTo(t, c, change)
	return r, func() {
		t.Helper()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("SIPp is not content: %v\n%s", err, output)
			}
		case <-time.After(soon):
			t.Errorf("SIPp does not end:\n%s", output)
		}
	}
}

// TestSIPpFailures: final responses from SIPp.
func TestSIPpFailures(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		status, retry string
		kind          channel.ErrorKind
	}{{"486", "0", ""}, {"503", "0", channel.Unavailable}, {"503", "30", channel.Throttled},
		{"603", "0", channel.Rejected}, {"403", "0", channel.Refused}} {
		t.Run(row.status+" "+row.retry, func(t *testing.T) {
			t.Parallel()
			r, content := sipp(t, "fail", map[string]string{"status": row.status, "retry": row.retry}, nil)
			a, err := r.call(nil)
			if row.kind == "" {
				must(t, err)
				r.receipt(a.ID, channel.Undelivered, row.status, "")
			} else {
				refused(t, err, row.kind, row.status)
			}
			content()
		})
	}
}

// TestSIPpPassword: SIPp computes the answer to its challenge by itself.
func TestSIPpPassword(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]channel.ErrorKind{password: "", "another": channel.Refused} {
		t.Run(given, func(t *testing.T) {
			t.Parallel()
			r, content := sipp(t, "password", map[string]string{"account": "acct", "secret": given}, nil)
			a, err := r.call(nil)
			if want == "" {
				must(t, err)
				r.receipt(a.ID, channel.Undelivered, "486", "")
			} else {
				refused(t, err, want, "403")
			}
			content()
		})
	}
}

// TestSIPpAnswer: a whole call with SIPp. What it hears comes to a socket of the test.
func TestSIPpAnswer(t *testing.T) {
	t.Parallel()
	ear, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	must(t, err)
	_ = ear.SetReadBuffer(4 << 20)
	r, content := sipp(t, "answer", map[string]string{"sound_port": itoa(ear.LocalAddr().(*net.UDPAddr).Port)}, nil)
	var sound []byte
	var hearing sync.WaitGroup
	hearing.Go(func() {
		buf := make([]byte, 2048)
		for {
			n, err := ear.Read(buf)
			if err != nil {
				return
			}
			var p rtp.Packet
			if p.Unmarshal(buf[:n]) == nil {
				sound = append(sound, p.Payload...)
			}
		}
	})
	a, err := r.call(nil)
	must(t, err)
	r.receipt(a.ID, channel.Delivered, "", "")
	content()
	must(t, ear.Close())
	hearing.Wait()
	if got := spelt(said(t, sound, "en", pcma())); got != code+code {
		t.Errorf("heard %s", got)
	}
}

// phoneConfig is that of a softphone which answers by itself, keeps what it hears, and takes orders over TCP.
const phoneConfig = `
sip_listen 127.0.0.1:%d
net_interface 127.0.0.1
audio_player aubridge,nil
audio_source aubridge,nil
audio_alert aubridge,nil
rtp_ports %d-%d
module_path %s
module g711.so
module aubridge.so
module sndfile.so
module_app account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen 127.0.0.1:%d
snd_path %s
`

// modules returns where Debian, or another system, puts baresip's modules.
func modules(t *testing.T) string {
	t.Helper()
	for _, dir := range []string{"/usr/lib/baresip/modules", "/usr/local/lib/baresip/modules",
		"/usr/lib64/baresip/modules"} {
		if _, err := os.Stat(filepath.Join(dir, "sndfile.so")); err == nil {
			return dir
		}
	}
	t.Fatal(
		"the modules of baresip are missing: install them (Debian: apt-get install baresip-core), or leave these tests " +
			"out by go test -short")
	return ""
}

// softphone is a running baresip.
type softphone struct {
	t    *testing.T
	dir  string
	conn net.Conn
	in   *bufio.Reader
}

// newSoftphone runs baresip and answers it and its port.
func newSoftphone(t *testing.T) (phone *softphone, port int) {
	t.Helper()
	dir := t.TempDir()
	port = freePort(t)
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	must(t, err)
	orders := listener.Addr().(*net.TCPAddr).Port
	must(t, listener.Close())
	sound := freePort(t)
	if !testing.Short() {
		must(t,
			os.WriteFile(filepath.Join(dir, "config"),
				fmt.Appendf(nil, phoneConfig, port, sound&^1, sound&^1+20, modules(t), orders, dir), 0o600))
	}
	must(t,
		os.WriteFile(filepath.Join(dir, "accounts"),
			[]byte("<sip:"+number+"@127.0.0.1>;regint=0;answermode=auto;audio_codecs=PCMU/8000/1\n"), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "contacts"), nil, 0o600))
	output, ended := program(t, dir, "baresip", "baresip-core", "-f", dir)
	phone = &softphone{t: t, dir: dir}
	for over := time.Now().Add(soon); ; {
		if phone.conn, err = net.Dial("tcp4", "127.0.0.1:"+itoa(orders)); err == nil {
			break
		}
		select {
		case err := <-ended:
			t.Fatalf("baresip ended: %v\n%s", err, output)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(over) {
			t.Fatalf("baresip does not come up:\n%s", output)
		}
	}
	t.Cleanup(func() { _ = phone.conn.Close() })
	phone.in = bufio.NewReader(phone.conn)
	return phone, port
}

// order gives an order as a netstring of JSON.
func (s *softphone) order(command, params string) {
	s.t.Helper()
	text := fmt.Sprintf(`{"command":%q,"params":%q,"token":"t"}`, command, params)
	_, err := fmt.Fprintf(s.conn, "%d:%s,", len(text), text)
	must(s.t, err)
}

// await waits for an event.
func (s *softphone) await(event string) {
	s.t.Helper()
	_ = s.conn.SetReadDeadline(time.Now().Add(3 * soon))
	for {
		var size int
		if _, err := fmt.Fscanf(s.in, "%d:", &size); err != nil || size <= 0 || size > 1<<16 {
			s.t.Fatalf("no %s came: %v", event, err)
		}
		text := make([]byte, size+1)
		if _, err := io.ReadFull(s.in, text); err != nil {
			s.t.Fatal(err)
		}
		if strings.Contains(string(text), `"`+event+`"`) {
			return
		}
	}
}

// heard returns what the phone has played, as μ-law.
func (s *softphone) heard() []byte {
	s.t.Helper()
	files, err := filepath.Glob(filepath.Join(s.dir, "*-dec.wav"))
	must(s.t, err)
	if len(files) != 1 {
		s.t.Fatalf("baresip has kept %d recordings", len(files))
	}
	text, err := os.ReadFile(files[0])
	must(s.t, err)
	_, samples, ok := bytes.Cut(text, []byte("data"))
	if !ok || len(samples) < 4 {
		s.t.Fatal("the recording has no samples")
	}
	samples = samples[4:]
	out := make([]byte, len(samples)/2)
	for i := range out {
		out[i] = prompts.MuLaw(int16(binary.LittleEndian.Uint16(samples[2*i:])))
	}
	return out
}

// TestSoftphone: a call to baresip at the speed of life. It presses 1 by RFC 4733 and keeps what it hears.
func TestSoftphone(t *testing.T) {
	t.Parallel()
	phone, port := newSoftphone(t)
	c := settings(&peer{})
	c.Server = "127.0.0.1:" + itoa(port)
	r := newRouteTo(t, c, nil)
	r.frame = frameTime
	a, err := r.call(func(m *channel.Message) { *m = newMessage(t, "83Q617", "es") })
	must(t, err)
	phone.await("CALL_ESTABLISHED")
	phone.order("sndcode", "1")
	select {
	case got := <-r.receipts:
		if got.ProviderID != a.ID || got.Status != channel.Delivered {
			t.Errorf("the receipt is %+v", got)
		}
	case <-time.After(3 * soon):
		t.Fatal("there is no receipt")
	}
	phone.await("CALL_CLOSED")
	r.stop()
	names := said(t, phone.heard(), "es", pcmu())
	if !strings.Contains(spelt(names), "83q617") {
		t.Errorf("baresip heard %v", names)
	}
}
