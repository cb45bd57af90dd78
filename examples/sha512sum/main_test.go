package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The checksums of nothing and of abc are those of FIPS 180-4's examples.
const (
	sumOfNothing = "c672b8d1ef56ed28ab87c3622c5114069bdd3ad7b8f9737498d0c01ecef0967a"
	sumOfABC     = "53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23"
)

func TestRun(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{"empty": "", "abc": "abc"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name           string
		args           []string
		status         int
		stdout, stderr string
	}{
		{"files", []string{"abc", "empty"}, 0, sumOfABC + "  abc\n" + sumOfNothing + "  empty\n", ""},
		{"stdin", []string{"-"}, 0, sumOfABC + "  -\n", ""},
		{"one is missing", []string{"none", "empty"}, 1, sumOfNothing + "  empty\n", "sha512sum: open none: no such file or directory\n"},
		{"a folder", []string{"."}, 1, "", "sha512sum: read .: is a directory\n"},
		{"nothing", nil, 2, "", "usage: sha512sum file...\n"},
		{"unknown flag", []string{"-x"}, 2, "", "flag provided but not defined: -x\nusage: sha512sum file...\n"},
		{"help", []string{"-h"}, 0, "", "usage: sha512sum file...\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			status := run(tt.args, strings.NewReader("abc"), &stdout, &stderr)
			if status != tt.status || stdout.String() != tt.stdout || stderr.String() != tt.stderr {
				t.Errorf("run = %d, %q, %q, want %d, %q, %q", status, &stdout, &stderr, tt.status, tt.stdout, tt.stderr)
			}
		})
	}
}

func TestOutputThatFails(t *testing.T) {
	name := filepath.Join(t.TempDir(), "full")
	if err := os.WriteFile(name, nil, 0o400); err != nil {
		t.Fatal(err)
	}
	closed, err := os.Open(name) // for reading only
	if err != nil {
		t.Fatal(err)
	}
	defer closed.Close()
	var stderr bytes.Buffer
	if status := run([]string{"-"}, strings.NewReader(""), closed, &stderr); status != 1 || stderr.Len() == 0 {
		t.Errorf("run = %d, %q, want 1 and a message", status, &stderr)
	}
}
