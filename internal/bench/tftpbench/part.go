//go:build linux

// Package tftpbench measures package tftp. Each server and the clients run in processes
// of their own, so that what each of them uses can be told apart.
package tftpbench

import "github.com/netparts/netparts/internal/bench/lab"

// Part is what is measured.
func Part() lab.Part {
	p := lab.Part{
		Name: "tftp",
		Job:  "files over TFTP (RFC 1350), with options and windows (RFC 2347, 2348, 7440), on loopback",
		Peers: []lab.Peer{
			{Name: kindSingle, What: "ours with one port for all transfers (SinglePort)"},
			{Name: kindStream, What: "ours from a source that can only be read once, of which a window is kept"},
			{Name: kindPin, What: "the Go package that is used most, without windows; what it has instead (SetAnticipate) is experimental, and off", Module: "github.com/pin/tftp/v3"},
			{Name: kindPack, What: "a Go package with windows", Module: "pack.ag/tftp"},
			{Name: kindBare, What: "a ping-pong of the same packets over connected sockets, with nothing of a protocol"},
			{Name: kindDaemon, What: "the server atftpd, in C, with the client atftp", Version: daemonVersion},
		},
		Growths: []lab.Growth{openGrowth(), smallGrowth()},
		Tested: []string{
			"Over a network that loses 1 % of the packets, a real curl gets a file at least 5 times as fast from ours as from tftpd-hpa (`TestInteropLossIsCheap`).",
		},
		Conclusion: conclusion,
		Child:      runChild,
	}
	for _, block := range []int{512, 1428} {
		size := map[int]int{512: 3 << 20, 1428: 6 << 20}[block]
		p.Cases = append(p.Cases,
			lockStep(block, setting{size: size}),
			lockStep(block, setting{", on one processor", []string{lab.OneCPU}, size}))
	}
	for _, w := range windows {
		p.Cases = append(p.Cases, throughWindows(w))
	}
	for _, count := range []int{16, 64} {
		for _, at := range userSettings() {
			p.Cases = append(p.Cases, largeWindows(count, at))
		}
	}
	for _, w := range windows {
		p.Cases = append(p.Cases, realClient(w))
	}
	p.Cases = append(p.Cases, lossyCases()...)
	p.Cases = append(p.Cases, longWay())
	for _, workers := range []int{1, 16, 128} {
		p.Cases = append(p.Cases, smallFiles(workers))
	}
	for _, w := range []window{{512, 1}, {8192, 1}, {1428, 16}, {1428, 64}} {
		p.Cases = append(p.Cases, openTransfers(w))
	}
	p.Cases = append(p.Cases, greedyRequest())
	return p
}

const conclusion = `- Where both sides know windows (RFC 7440), ours moves large files several times as fast as pack.ag/tftp does, for
  a small part of the server's CPU time, and takes less CPU time than atftpd: it hands several packets to the kernel at once. pin has no windows.
- In lock step, with one block at a time, as firmware without windows asks for it, all are about as fast and cost
  about the same: nearly all of the time is system calls that each of them makes. The choice makes no difference there.
- Where packets get lost, the choice matters most: ours sends again after a few round trips, the others after
  whole seconds, so that most of their transfers have not ended when the time for them is over. pin can be told
  another time, for all networks alike, and pack.ag/tftp no less than a second.
- Large blocks in large windows need receive buffers that fit. Ours makes them, or agrees to a smaller window;
  pack.ag/tftp fails.
- For many small files ours takes about half of pin's CPU time and a tenth of its garbage; pack.ag/tftp takes
  somewhat more CPU time than ours, and several times the garbage.
- One port for all transfers (SinglePort), for clients behind NAT, costs a little more CPU time
  than a port for each where files are large, and no more where they are small: the network decides.
- An open transfer costs a few kilobytes, with pin as with ours, to which pin adds a block where blocks are large. Serve from an io.ReaderAt, such as a file: from a source that
  can be read only once a window is kept for each transfer.
- pin is as good a choice where no client asks for windows and the network is clean, and atftpd where a program of the
  system is wanted rather than a package.
`
