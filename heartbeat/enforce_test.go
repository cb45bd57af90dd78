package heartbeat_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/heartbeat"
)

func TestEnforce(t *testing.T) {
	const second, data = time.Second, -1 // data stands for a call of Data
	refused := heartbeat.ErrTooManyPings
	for _, tt := range []struct {
		name string
		e    *heartbeat.Enforce
		wait []time.Duration // before each ping
		want []error
	}{
		{"slow", &heartbeat.Enforce{}, []time.Duration{0, 5 * second, 5 * second, 9 * second}, []error{nil, nil, nil, nil}},
		{"flood", &heartbeat.Enforce{}, []time.Duration{0, 0, second, 5*second - 1, 0}, []error{nil, nil, nil, refused, refused}},
		{
			"forgiven one by one", &heartbeat.Enforce{MinInterval: 10 * second, MaxStrikes: 1},
			[]time.Duration{0, 9 * second, 10 * second, 9 * second, 10 * second},
			[]error{nil, nil, nil, refused, nil},
		},
		{"none forgiven", &heartbeat.Enforce{MaxStrikes: -1}, []time.Duration{0, second, 6 * second}, []error{nil, refused, nil}},
		{
			"data clears", &heartbeat.Enforce{},
			[]time.Duration{0, 0, 0, data, 0, 0, 0, 0},
			[]error{nil, nil, nil, nil, nil, nil, nil, refused},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for i, wait := range tt.wait {
					if wait == data {
						tt.e.Data()
						continue
					}
					time.Sleep(wait)
					if err := tt.e.Ping(); err != tt.want[i] {
						t.Errorf("ping %d = %v, want %v", i, err, tt.want[i])
					}
				}
			})
		})
	}
}
