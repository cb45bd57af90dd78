package housework_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"strings"

	"github.com/netparts/netparts/housework"
)

// A list in JSON can be read, and written, with any editor.
func ExampleJSON() {
	chores := []housework.Chore{{Description: "Mop floors"}, {Description: "Clean dishes", Complete: true}}
	if err := housework.JSON.Flush(os.Stdout, chores); err != nil {
		log.Fatal(err)
	}
	// Output:
	// [{"Complete":false,"Description":"Mop floors"},{"Complete":true,"Description":"Clean dishes"}]
}

// A list in Gob is for programs in Go, whose types need not be the same.
func ExampleGob() {
	var file bytes.Buffer
	if err := housework.Gob.Flush(&file, []housework.Chore{{Description: "Mop floors"}}); err != nil {
		log.Fatal(err)
	}
	chores, err := housework.Gob.Load(&file)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(chores[0].Description)
	// Output: Mop floors
}

// A list in Protobuf is the shortest, and programs in many languages read it with the
// help of v1/housework.proto.
func ExampleProtobuf() {
	var file bytes.Buffer
	if err := housework.Protobuf.Flush(&file, []housework.Chore{{Description: "Mop floors"}}); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%q\n", file.Bytes())
	// Output: "\n\f\x12\nMop floors"
}

// A program may leave the format to its user.
func ExampleParseFormat() {
	for _, name := range []string{"Protobuf", "xml"} {
		format, err := housework.ParseFormat(name)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(format)
	}
	// Output:
	// protobuf
	// housework: format "xml" is not json, gob or protobuf
}

// The beginning of a file tells the format, but if the list may be empty, there must be
// one to fall back to.
func ExampleDetect() {
	file := strings.NewReader("\n\f\x12\nMop floors")
	begin := make([]byte, 16)
	n, err := io.ReadFull(file, begin)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		log.Fatal(err)
	}
	format, ok := housework.Detect(begin[:n])
	if !ok {
		format = housework.JSON
	}
	chores, err := format.Load(io.MultiReader(bytes.NewReader(begin[:n]), file))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(format, chores[0].Description)
	// Output: protobuf Mop floors
}

// A file that was cut off is told apart from one that is something else.
func ExampleFormatError() {
	for _, file := range []string{`[{"Complete":true,"Descr`, "<html>"} {
		_, err := housework.JSON.Load(strings.NewReader(file))
		if e, ok := errors.AsType[*housework.FormatError](err); ok {
			fmt.Println(errors.Is(e, io.ErrUnexpectedEOF), err)
		}
	}
	// Output:
	// true housework: json: offset 24: unexpected EOF
	// false housework: json: offset 0: invalid character '<' looking for beginning of value
}
