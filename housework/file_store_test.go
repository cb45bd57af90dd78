package housework_test

import (
	"testing"

	"github.com/netparts/netparts/housework"
	"github.com/netparts/netparts/housework/storetest"
)

func TestFileStore(t *testing.T) {
	for _, codec := range fileCodecs {
		t.Run(codec.String(), func(t *testing.T) {
			t.Parallel() // the disk is what is waited for
			storetest.Run(t, func(t *testing.T) housework.Store {
				s, err := housework.OpenFile(filePath(t), &housework.FileOptions{Codec: codec})
				fileNoError(t, err)
				return s
			})
		})
	}
}

func TestFileStoreDurable(t *testing.T) {
	for _, codec := range fileCodecs {
		t.Run(codec.String(), func(t *testing.T) {
			t.Parallel() // the disk is what is waited for
			storetest.RunDurable(t, func(t *testing.T) func() housework.Store {
				path := filePath(t)
				return func() housework.Store {
					s, err := housework.OpenFile(path, &housework.FileOptions{Codec: codec})
					fileNoError(t, err)
					return s
				}
			})
		})
	}
}
