package campaign

import (
	"os/exec"
	"syscall"
)

// dieWithParent has the program end when the worker is killed, too.
func dieWithParent(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
