// Package tftp is a server and a client of the Trivial File Transfer Protocol,
// which boots machines, flashes devices and moves their configurations.
//
// It implements RFC 1350 (reading and writing in the modes octet and netascii),
// the options of RFC 2347: blksize (2348), timeout and tsize (2349) and windowsize
// (7440), and the corrections of RFC 1123 section 4.2.3. Block numbers roll over to
// 0, so that files may have any size.
//
// # Serving
//
//	root, err := os.OpenRoot("/srv/tftp")
//	if err != nil {
//		return err
//	}
//	folder := tftp.Dir(root)
//	server := &tftp.Server{Open: folder.Open} // and Create: folder.Create for uploads
//	return server.ListenAndServe("udp", ":69")
//
// [Payload] and [FS] serve a slice of bytes and an [fs.FS]. What they return are
// hooks, plain functions from a [Request] to a file, which a program can wrap or
// write itself. A [Server] stops as an http.Server does, by Shutdown or Close.
//
// # Reading and writing
//
//	client := &tftp.Client{Addr: "192.0.2.1:69"}
//	stats, err := client.Get(ctx, "pxelinux.0", w)
//	stats, err = client.Put(ctx, "running-config", r)
//
// # Loss
//
// The timer of both sides follows the measured round trip, from 20 milliseconds up
// to Timeout, and doubles while nothing comes. A gap in a window is told at once,
// and the window begins anew there. Packets that come twice cause no others to
// (the Sorcerer's Apprentice Syndrome), and who sends from a strange port gets an
// ERROR and changes nothing. The receiver of a file stays for as long as Timeout to
// repeat its last ACK, also if the option timeout is shorter.
//
// # Limits
//
// TFTP has no authentication and no encryption: whoever reaches the port can read
// what Open returns, and write where Create lets it. The addresses of requests can be
// forged, so that a server sends at most three packets to an address that has
// not answered, and one to an address with many of those. Number and size of
// transfers are limited by default, uploads are off, and a [Folder] is not left.
//
// A transfer that waits costs a goroutine and a few kilobytes. If its source can be
// read at random nothing is kept to be sent again; otherwise one window is, which is
// at most 512 KiB.
//
// # Errors
//
// What the peer says is an [*Error]; errors.Is compares it with [fs.ErrNotExist],
// [fs.ErrPermission] and [fs.ErrExist]. Silence is [ErrNoAnswer], which is an
// [os.ErrDeadlineExceeded]. Errors of the caller's readers and writers come back
// as they are.
//
// [Parse] and the types of packets are for programs that look at the protocol
// itself.
package tftp
