package sockets_test

import (
	"errors"
	"testing"

	"github.com/netparts/netparts/examples/sockets"
)

// mtuSearch searches for want, on a path of which each size that is too large tells what
// hear returns. It returns the result and how many sizes were tried.
func mtuSearch(t *testing.T, want, first int, hear func(size int) int) (got, tried int) {
	t.Helper()
	got, err := sockets.SearchMTU(68, 65536, first, func(size int) (bool, int, error) {
		tried++
		if size <= 68 || size >= 65536 {
			t.Errorf("size %d was tried, whose answer is known", size)
		}
		if size <= want {
			return true, 0, nil
		}
		return false, hear(size), nil
	})
	if err != nil {
		t.Error(err)
	}
	return got, tried
}

// Whatever is said on the way, the search finds the size; what is said decides how long
// it takes. A liar gets nothing else.
func TestMTUSearch(t *testing.T) {
	for _, tt := range []struct {
		name  string
		want  int
		first int // what the host believes
		hear  func(size int) int
		most  int // tried sizes
	}{
		{"the first link is the narrowest", 1500, 1500, func(int) int { return 1500 }, 2},
		{"a router names the MTU", 1400, 1500, func(int) int { return 1400 }, 3},
		{"a packet that is as large as can be", 65535, 65535, func(int) int { return 0 }, 1},
		{"no packet but the smallest", 68, 68, func(int) int { return 68 }, 1},
		{"silence", 1404, 1500, func(int) int { return 0 }, 13},
		{"nothing is believed", 1404, 0, func(int) int { return 0 }, 16},
		{"a hint that is too small", 1400, 1500, func(int) int { return 69 }, 30},
		{"a hint that is too large", 1400, 1500, func(int) int { return 9000 }, 30},
		{"a hint of one byte less", 1400, 1500, func(size int) int { return size - 1 }, 30},
		{"a negative hint", 1400, -1, func(int) int { return -1 }, 16},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, tried := mtuSearch(t, tt.want, tt.first, tt.hear)
			if got != tt.want || tried > tt.most {
				t.Errorf("found %d with %d sizes, want %d with at most %d", got, tried, tt.want, tt.most)
			}
		})
	}
}

func TestMTUSearchThatFails(t *testing.T) {
	broken := errors.New("broken")
	_, err := sockets.SearchMTU(68, 65536, 1500, func(int) (bool, int, error) { return false, 0, broken })
	if err != broken {
		t.Errorf("search: %v, want %v", err, broken)
	}
}
