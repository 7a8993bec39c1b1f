//go:build linux

package bench

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// cores says who runs where. A load that takes the server's time measures itself: so the server has cores of its own,
// and the load and the provider have the others.
type cores struct {
	server, load unix.CPUSet
	// apart is false where there is one core, or the kernel does not let us choose: then all share what there is.
	apart bool
	why   string
}

// splitCores gives the server the first half of the cores that we may use.
func splitCores() (c cores) {
	var all unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		c.why = fmt.Sprintf("the kernel does not say which cores there are: %v", err)
		return c
	}
	n := all.Count()
	if n < 2 {
		c.why = "there is one core"
		return c
	}
	given := 0
	for core := 0; given < n; core++ {
		if !all.IsSet(core) {
			continue
		}
		if given++; given <= n/2 {
			c.server.Set(core)
		} else {
			c.load.Set(core)
		}
	}
	c.apart = true
	return c
}

// String tells it to who reads the figures.
func (c *cores) String() string {
	if !c.apart {
		return "server, load and provider share the cores: " + c.why
	}
	return fmt.Sprintf("the server has %d of the cores to itself, load and provider the other %d", c.server.Count(),
		c.load.Count())
}

// serving runs f, whose child processes get the server's cores; Go's runtime makes as many processors of it. Afterwards
// this process keeps to the load's.
func (c *cores) serving(f func() error) error {
	if !c.apart {
		return f()
	}
	// A child inherits the cores of the thread that starts it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.SchedSetaffinity(0, &c.server); err != nil {
		c.apart, c.why = false, fmt.Sprintf("the kernel does not let us choose: %v", err)
		return f()
	}
	if err := f(); err != nil {
		return err
	}
	return keepTo(&c.load)
}

// keepTo puts all threads of this process on some cores. Threads to come inherit that.
func keepTo(set *unix.CPUSet) error {
	runtime.GOMAXPROCS(set.Count())
	// A thread may begin another while we look: the second time, all that there are have been told.
	for range 2 {
		threads, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return err
		}
		for _, t := range threads {
			id, _ := strconv.Atoi(t.Name())
			if err := unix.SchedSetaffinity(id, set); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("thread %d: %w", id, err)
			}
		}
	}
	return nil
}
