package housework_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/netparts/netparts/housework"
)

// A list that outlives the program. Without options the format is told from the
// file, and JSON if there is none yet.
func ExampleOpenFile() {
	dir, err := os.MkdirTemp("", "housework")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()

	store, err := housework.OpenFile(filepath.Join(dir, "housework.db"), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	first, err := store.Add(ctx, "", []housework.Chore{{Description: "Mop floors"}, {Description: "Clean dishes"}})
	if err != nil {
		log.Fatal(err)
	}
	if err := store.Complete(ctx, first); err != nil {
		log.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(dir, "housework.db"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(string(content))
	// Output:
	// [{"Complete":true,"Description":"Mop floors"},{"Complete":false,"Description":"Clean dishes"}]
}

// A damaged file is reported, with the place if that is known, and never overwritten.
func ExampleOpenFile_damaged() {
	dir, err := os.MkdirTemp("", "housework")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "housework.db")
	if err := os.WriteFile(path, []byte(`[{"Complete":true,`), 0o600); err != nil {
		log.Fatal(err)
	}

	_, err = housework.OpenFile(path, nil)
	if damage, ok := errors.AsType[*housework.FormatError](err); ok {
		fmt.Println(filepath.Base(damage.Path), damage.Codec, damage.Offset)
	}
	// Output: housework.db json 18
}

// A request id makes it safe to try again, also after the program has ended in between:
// the chores are added once.
func ExampleFileStore() {
	dir, err := os.MkdirTemp("", "housework")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	for range 2 {
		store, err := housework.OpenFile(filepath.Join(dir, "housework.db"), &housework.FileOptions{Codec: housework.Protobuf})
		if err != nil {
			log.Fatal(err)
		}
		// Other processes may be changing the list: they are waited for until then.
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		first, err := store.Add(ctx, "spring-cleaning", []housework.Chore{{Description: "Wash windows"}})
		cancel()
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("chore", first)
		if err := store.Close(); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// chore 1
	// chore 1
}
