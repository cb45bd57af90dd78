// Package sockets is a course on TCP and UDP by tests: each file is a lesson, and teaches
// one idea by Examples that run. From the root of the repository,
//
//	go test -v ./examples/sockets
//	go test -v -run Example_deadline ./examples/sockets
//
// run all lessons, and one. Everything stays on this machine: the servers listen on
// 127.0.0.1, on ports that the system picks, and hosts that never answer are played by
// hooks. What a lesson prints stands below its code, and the Tests beside an Example show
// what goes wrong without the care that it takes. To copy a function together with its
// tests is what they are for.
//
// Addresses:
//
//   - address_test.go: addresses, prefixes and their ranges, and how they are written
//
// Connections, from the first call to the last:
//
//   - listen_test.go: a port that the system picks, and Close, which ends Accept
//   - accept_test.go, accept_edges_test.go: a goroutine for each connection, and errors that
//     pass
//   - close_test.go, close_linux_test.go: how both sides end, and what each sees of it
//   - errors_test.go: what an error of the network tells
//   - dial_timeout_test.go: a host that does not answer
//   - dial_context_test.go: the deadline of a context, and that of the dial
//   - dial_cancel_test.go: giving up before a time-out does
//   - fanout_test.go: several servers at once, and the first connection wins
//   - deadline_test.go: deadlines that expire, are moved, and wake a reader
//
// What goes over them:
//
//   - read_test.go: reading all of it, through a buffer of any size
//   - scan_test.go: words and lines, and those that are too long
//   - retry_test.go, retry_edges_test.go: writing on after a time-out, with nothing sent twice
//   - tune_test.go, tune_unix_test.go, tune_linux_test.go: small writes, keep-alive, linger
//     and buffers, and what the system makes of them
//   - kernel_window_test.go, kernel_window_linux_test.go: a reader that stops reading, and how
//     the sender sees it
//   - kernel_closewait_test.go, kernel_closewait_linux_test.go: a connection that nobody closes
//
// Datagrams:
//
//   - udp_unconnected_test.go: a socket that anybody can write to
//   - udp_connected_test.go: a socket that hears its peer alone
//   - udp_echo_test.go: a question and its answer, where both can get lost
//   - udp_size_test.go, udp_size_unix_test.go: datagrams that are too large, for a buffer or
//     at all
//   - mtu.go, mtu_test.go: the largest packet that reaches a host in one piece
//
// Lessons share pair_test.go, which makes the two ends of a connection, and
// errno_unix_test.go and errno_windows_test.go with the numbers of the system's errors.
// What a service needs beyond lessons has a package of its own: proxy, heartbeat, tlv and
// echo.
package sockets
