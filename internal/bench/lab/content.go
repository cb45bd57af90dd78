package lab

import (
	"math/rand/v2"
	"sync"
)

var random struct {
	sync.Mutex
	source *rand.ChaCha8
	bytes  []byte
}

// Content is random data, the same in all processes. Making it takes time, so that it is
// called once before what is measured. It must not be changed.
func Content(size int) []byte {
	random.Lock()
	defer random.Unlock()
	if len(random.bytes) < size {
		random.bytes = make([]byte, size)
		random.source = rand.NewChaCha8([32]byte{1, 2, 3})
		_, _ = random.source.Read(random.bytes) // which never fails
	}
	return random.bytes[:size:size]
}
