package httpclient_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// clockSkew asks a server for the time: its clock is ahead of the one of now by at least low
// and less than high, or behind if they are negative.
//
// The server has looked at its clock at some moment between the request and the answer,
// and has cut the fraction of the second off. So the middle between low and high is off by at
// most half the round trip and half a second. A second call on the same client is closer,
// as nothing needs to be dialed.
//
// Servers keep their time by NTP, not by HTTP: this finds a clock that is wrong by minutes.
func clockSkew(ctx context.Context, client *http.Client, url string, now func() time.Time) (low, high time.Duration, err error) {
	// HEAD asks for the headers alone.
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, url, nil)
	if err != nil {
		return 0, 0, err
	}
	sent := now()
	resp, err := client.Do(req)
	if err != nil {
		return 0, 0, err
	}
	got := now()
	// It is closed although there is nothing in it: every body is.
	if err := resp.Body.Close(); err != nil {
		return 0, 0, err
	}
	if resp.Header.Get("Age") != "" {
		return 0, 0, errors.New("the answer is a cache's, with the time of when it was made")
	}
	date := resp.Header.Get("Date")
	if date == "" {
		return 0, 0, errors.New("the server has not told the time")
	}
	// ParseTime takes the three formats of RFC 9110 section 5.6.7, all of them in GMT.
	// The layout time.RFC1123 would take any zone, and those unknown here for GMT.
	there, err := http.ParseTime(date)
	if err != nil {
		return 0, 0, fmt.Errorf("the time of the server: %w", err)
	}
	return there.Sub(got), there.Add(time.Second).Sub(sent), nil
}

// How far is the clock of a server off? Here it is about five minutes ahead, and the answer
// took two seconds.
func Example_clockSkew() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", "Fri, 13 Mar 2026 12:05:01 GMT")
	}))
	defer server.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	clock := time.Date(2026, 3, 13, 12, 0, 0, 0, time.UTC)
	now := func() time.Time { // time.Now, outside of examples
		defer func() { clock = clock.Add(2 * time.Second) }()
		return clock
	}
	low, high, err := clockSkew(ctx, server.Client(), server.URL, now)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("ahead by %v to %v\n", low, high)
	// Output:
	// ahead by 4m59s to 5m2s
}

// Whatever the clocks and the way do, the skew lies within the bounds, which are a round
// trip and a second apart.
func TestClockSkewBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, there := range []time.Duration{0, 1, time.Second, 300 * time.Millisecond, 1500 * time.Millisecond} {
			for _, back := range []time.Duration{0, 999_999_999, 20 * time.Second} {
				for _, skew := range []time.Duration{0, time.Nanosecond, -time.Nanosecond, 48 * time.Hour, -90 * time.Minute, 700 * time.Millisecond} {
					client := inMemory(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
						time.Sleep(there)
						w.Header().Set("Date", time.Now().Add(skew).UTC().Format(http.TimeFormat))
						time.Sleep(back)
					}))
					low, high, err := clockSkew(t.Context(), client, memory, time.Now)
					if err != nil || skew < low || skew >= high || high-low != there+back+time.Second {
						t.Errorf("skew %v, %v there, %v back: from %v to %v, %v", skew, there, back, low, high, err)
					}
				}
			}
		}
	})
}

// The formats of old are understood, and what is no time in GMT is an error, not a skew.
func TestClockSkewDate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			date, age string
			want      string // in the error
		}{
			{"Sat, 01 Jan 2000 00:00:00 GMT", "", ""},
			{"Saturday, 01-Jan-00 00:00:00 GMT", "", ""},
			{"Sat Jan  1 00:00:00 2000", "", ""},
			{"", "", "not told the time"},
			{"yesterday", "", "the time of the server"},
			{"Sat, 01 Jan 2000 00:00:00 PST", "", "the time of the server"},
			{"Sat, 32 Jan 2000 00:00:00 GMT", "", "the time of the server"},
			{"Sat, 01 Jan 2000 00:00:00 GMT", "60", "a cache"},
		} {
			client := inMemory(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header()["Date"] = nil // or the server sets it itself
				if tt.date != "" {
					w.Header().Set("Date", tt.date)
				}
				if tt.age != "" {
					w.Header().Set("Age", tt.age)
				}
			}))
			// The clock of a bubble stands at the first moment of 2000.
			low, high, err := clockSkew(t.Context(), client, memory, time.Now)
			if tt.want == "" && (err != nil || low != 0 || high != time.Second) {
				t.Errorf("Date %q: from %v to %v, %v", tt.date, low, high, err)
			}
			if tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("Date %q, Age %q: %v, want an error with %q", tt.date, tt.age, err, tt.want)
			}
		}
	})
}

// A server that is not there is an error too.
func TestClockSkewUnreachable(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	if low, high, err := clockSkew(t.Context(), server.Client(), server.URL, time.Now); err == nil {
		t.Errorf("from %v to %v", low, high)
	}
	if _, _, err := clockSkew(t.Context(), server.Client(), "http://[", time.Now); err == nil {
		t.Error("no error about the URL")
	}
}
