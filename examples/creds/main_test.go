package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// TestMain lets the test binary be the program, or a peer of it.
func TestMain(m *testing.M) {
	switch os.Getenv("CREDS_TEST_MAIN") {
	case "program":
		if err := limitDescriptors(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(3)
		}
		main()
	case "peer":
		peerMain()
	}
	os.Exit(m.Run())
}

func TestMisuse(t *testing.T) {
	for _, args := range [][]string{
		{},
		{"-v"},
		{"-socket", "", "0"},
		{"-mode", "rw", "0"},
		{"-mode", "0888", "0"},
		{"-mode", "4660", "0"},
		{"-mode", "-1", "0"},
		{"-mode", "", "0"},
		{"-mode", "0", "0"},
		{"-mode", "0555", "0"},
		{"-idle", "-1s", "0"},
		{"-idle", "soon", "0"},
		{"-per-user", "-1", "0"},
		{"-no-such-flag", "0"},
	} {
		var stdout, stderr bytes.Buffer
		if status := run(t.Context(), args, &stdout, &stderr); status != 2 || stdout.Len() > 0 {
			t.Errorf("%q: exit status %d, stdout %q, want 2 and nothing", args, status, &stdout)
		}
		if !strings.Contains(stderr.String(), "Usage of creds") {
			t.Errorf("%q: stderr %q has no usage", args, &stderr)
		}
	}
	var stdout, stderr bytes.Buffer
	if status := run(t.Context(), []string{"-h"}, &stdout, &stderr); status != 0 || !strings.Contains(stderr.String(), "GROUP...") {
		t.Errorf("-h: exit status %d, stderr %q", status, &stderr)
	}
}

// wantFailure checks that the program fails at once, and says why in one line.
func wantFailure(t *testing.T, want string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second) // if it serves instead
	defer cancel()
	var stdout, stderr bytes.Buffer
	if status := run(ctx, args, &stdout, &stderr); status != 1 || stdout.Len() > 0 {
		t.Errorf("%q: exit status %d, stdout %q, want 1 and nothing", args, status, &stdout)
	}
	if s := stderr.String(); !strings.HasPrefix(s, "creds: ") || strings.Count(s, "\n") != 1 || !strings.Contains(s, want) {
		t.Errorf("%q: stderr %q, want one line with %q", args, s, want)
	}
}
