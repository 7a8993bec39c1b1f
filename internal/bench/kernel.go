//go:build linux

package bench

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// usage is what processes have used: the kernel's accounting, and what the server says of itself.
type usage struct {
	cpu     time.Duration
	written int64 // bytes to the disk
	syncs   int64 // commits, each of which is one fdatasync; 0 where the system does not say
	allocs  int64 // of the Go heap; 0 where the system does not say
	rss     int64 // bytes, now
}

func (u usage) minus(v usage) usage {
	return usage{
		cpu:     u.cpu - v.cpu,
		written: u.written - v.written,
		syncs:   u.syncs - v.syncs,
		allocs:  u.allocs - v.allocs,
		rss:     u.rss,
	}
}

func (u usage) plus(v usage) usage {
	return usage{
		cpu:     u.cpu + v.cpu,
		written: u.written + v.written,
		syncs:   u.syncs + v.syncs,
		allocs:  u.allocs + v.allocs,
		rss:     u.rss + v.rss,
	}
}

// tick is the kernel's unit of CPU time in /proc (USER_HZ, 100 on every Linux that Go runs on).
const tick = 10 * time.Millisecond

// processUsage reads one process and, with children, those below it, ended ones included.
func processUsage(pid int, children bool) (u usage, err error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return u, err
	}
	// The name is in brackets and may hold anything: the fields begin after the last one (proc(5)).
	f := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	last := 12 // utime and stime are fields 14 and 15, counted from 1; here they are 11 and 12
	if children {
		last = 14 // cutime and cstime
	}
	for _, s := range f[11 : last+1] {
		n, _ := strconv.ParseInt(s, 10, 64)
		u.cpu += time.Duration(n) * tick
	}
	u.written = procNumber(pid, "io", "write_bytes:")
	u.rss = procNumber(pid, "status", "VmRSS:") << 10
	if !children {
		return u, nil
	}
	kids, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for k := range strings.FieldsSeq(string(kids)) {
		n, _ := strconv.Atoi(k)
		if v, err := processUsage(n, false); err == nil { // one that has just ended is counted by its parent
			u = u.plus(v)
		}
	}
	return u, nil
}

// procNumber returns a number of /proc/PID/file; 0 when it is not there.
func procNumber(pid int, file, name string) int64 {
	text, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), file))
	_, rest, _ := strings.Cut(string(text), name)
	f := strings.Fields(rest)
	if len(f) == 0 {
		return 0
	}
	n, _ := strconv.ParseInt(f[0], 10, 64)
	return n
}

// machine says where the figures were taken.
func machine(dir string) string {
	cpu := "unknown CPU"
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if _, rest, ok := strings.Cut(string(text), "model name"); ok {
			line, _, _ := strings.Cut(rest, "\n")
			cpu = strings.TrimSpace(strings.TrimLeft(line, "\t: "))
		}
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	load, _ := os.ReadFile("/proc/loadavg")
	return fmt.Sprintf("%s, %d cores, Linux %s, %s, data in %s, load before %s", cpu, runtime.NumCPU(),
		strings.TrimSpace(string(kernel)), runtime.Version(), filepath.Dir(dir),
		strings.Join(strings.Fields(string(load))[:min(1, len(strings.Fields(string(load))))], ""))
}
