package api

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// sinceReceived returns how long ago the newest bytes came in that the kernel has for a connection (tcp(7), TCP_INFO),
// to the millisecond.
func sinceReceived(c *net.TCPConn) (d time.Duration, ok bool) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, false
	}
	err = raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if ok = err == nil; ok {
			d = time.Duration(info.Last_data_recv) * time.Millisecond
		}
	})
	return d, ok && err == nil
}
