package main

import (
	"os/exec"
	"syscall"
)

// setUp has the kernel kill the process when this one ends. The end of its standard
// input tells it, too, but not if it hangs.
func setUp(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
