// Package udpio reads and writes UDP datagrams, many with one system call where
// the system can, and without an allocation for each.
//
// A [Reader] hands out the datagrams of a socket, with the address that each
// was sent to where it is asked for. A [Writer] sends them, from a given
// address of this host if need be:
//
//	r := udpio.NewReader(conn, udpio.Config{Size: 1472, Batch: 32, Local: true})
//	w := udpio.NewWriter(conn)
//	defer r.Release()
//	for {
//		if err := r.Read(); err != nil {
//			return err
//		}
//		for p, ok := r.Next(); ok; p, ok = r.Next() {
//			if err := w.Write(answer(p), 1472, p.Peer, p.Local); err != nil {
//				return err
//			}
//		}
//	}
//
// On Linux, a [*net.UDPConn] is read by recvmmsg and written by sendmmsg, and
// the kernel splits what is sent (UDP_SEGMENT), also when it is datagrams in a
// row to one peer, and joins what is received (UDP_GRO). What a kernel or a
// path does not support is noticed and done without, and no datagram is sent
// twice on the way. Buffers are shared: a Reader that waits holds none.
//
// On other systems, and for any other [net.PacketConn], datagrams go one at a
// time by the methods of the connection, and local addresses are not known.
package udpio
