package houseworkv1_test

import (
	"fmt"
	"log"

	"google.golang.org/protobuf/proto"

	houseworkv1 "github.com/netparts/netparts/housework/v1"
)

// A list is one message, in files and between clients and servers.
func Example() {
	list := houseworkv1.Chores_builder{Chores: []*houseworkv1.Chore{
		houseworkv1.Chore_builder{Description: "Mop floors"}.Build(),
		houseworkv1.Chore_builder{Description: "Clean dishes", Complete: true}.Build(),
	}}.Build()
	encoded, err := proto.Marshal(list)
	if err != nil {
		log.Fatal(err)
	}

	decoded := new(houseworkv1.Chores)
	if err := proto.Unmarshal(encoded, decoded); err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(encoded), "bytes")
	for i, chore := range decoded.GetChores() {
		fmt.Println(i+1, chore.GetComplete(), chore.GetDescription())
	}
	// Output:
	// 32 bytes
	// 1 false Mop floors
	// 2 true Clean dishes
}
