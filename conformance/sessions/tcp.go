package sessions

import (
	"errors"
	"net"
	"os"
	"time"

	"github.com/ktrial/ktrial/sim/env"
)

// TCP is the network of this machine, and its clocks.
func TCP() Network { return tcp{} }

type tcp struct{}

func (tcp) Name() string { return "127.0.0.1" }

// began is when Uptime was zero.
var began = time.Now()

func (tcp) Now() env.Time         { return env.Time(time.Now().UnixNano()) }
func (tcp) Uptime() time.Duration { return time.Since(began) }
func (tcp) Sleep(d time.Duration) { time.Sleep(d) }

func (tcp) Dial(addr string) (Conn, error) {
	c, err := net.DialTimeout("tcp", addr, connecting)
	if err != nil {
		return nil, err
	}
	return tcpConn{c}, nil
}

type tcpConn struct{ net.Conn }

func (c tcpConn) SetReadDeadline(uptime time.Duration) {
	if uptime == 0 {
		_ = c.Conn.SetReadDeadline(time.Time{})
		return
	}
	_ = c.Conn.SetReadDeadline(began.Add(uptime))
}

func (c tcpConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = env.ErrTimeout
	}
	return n, err
}

func (c tcpConn) Write(p []byte) (int, error) {
	_ = c.SetWriteDeadline(time.Now().Add(10 * time.Second))
	return c.Conn.Write(p)
}
