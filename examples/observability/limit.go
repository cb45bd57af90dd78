package main

import "fmt"

// spareFiles are for what is open besides the connections: the standard streams, two
// listeners, a scrape, and what the runtime uses.
const spareFiles = 20

// checkFiles returns an error if so many open files are not enough. Otherwise some clients
// would wait for connections that cannot be accepted, while others hold what they need.
func (c *config) checkFiles(limit uint64) error {
	if need := 2*c.clients + spareFiles; limit < uint64(need) {
		return fmt.Errorf("%d clients need %d open files, and the limit is %d: take fewer by -clients, or raise it by ulimit -n", c.clients, need, limit)
	}
	return nil
}
