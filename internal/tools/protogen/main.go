// Program protogen makes the Go code of the .proto files of a module, beside them:
// the messages, with the opaque API, and the gRPC services. It needs no protocol
// buffer compiler, and has its plug-ins from this module.
//
//	protogen [-check] ROOT
//
// ROOT is the folder of the module. Nested modules, folders called testdata, and those
// whose name begins with a dot have no part in it. The path under which a file is
// imported and registered is the path of the module and that of the file in it, since
// two files of one path cannot be in one program.
//
// With -check it writes nothing, and fails if a file is not as it would write it.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	status := run(ctx, os.Args[1:], os.Stderr)
	stop()
	os.Exit(status)
}

// run is main without the process. It returns the exit status: 2 if the arguments are
// wrong, 1 if something failed.
func run(ctx context.Context, args []string, stderr io.Writer) int {
	flags := flag.NewFlagSet("protogen", flag.ContinueOnError)
	flags.SetOutput(stderr)
	check := flags.Bool("check", false, "write nothing, and fail if a file is not current")
	flags.Usage = func() {
		fmt.Fprint(stderr, "Usage: protogen [-check] ROOT\n\n")
		flags.PrintDefaults()
	}
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case flags.NArg() != 1:
		flags.Usage()
		return 2
	}
	root := flags.Arg(0)
	files, err := generate(ctx, root)
	if err == nil && *check {
		err = compare(root, files)
	} else if err == nil {
		err = write(root, files)
	}
	if err != nil {
		fmt.Fprintln(stderr, "protogen:", err)
		return 1
	}
	return 0
}

// write writes files, whose names begin at root.
func write(root string, files map[string][]byte) error {
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(root, filepath.FromSlash(name)), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// compare returns an error that names the generated files that write would change,
// and those that come from no .proto file any more.
func compare(root string, files map[string][]byte) error {
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(files)) {
		there, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			faults = append(faults, fmt.Errorf("%s is missing", name))
		case err != nil:
			faults = append(faults, err)
		case !bytes.Equal(there, files[name]):
			faults = append(faults, fmt.Errorf("%s is not current", name))
		}
	}
	generated, err := find(root, ".pb.go")
	if err != nil {
		return err
	}
	for _, name := range generated {
		if files[name] == nil {
			faults = append(faults, fmt.Errorf("%s comes from no .proto file", name))
		}
	}
	return errors.Join(faults...)
}
