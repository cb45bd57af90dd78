package housework_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"strings"

	"github.com/netparts/netparts/housework"
)

// A list of chores: some are added, one is done, and the list is shown. Here it is
// kept in memory; OpenFile keeps it in a file, and Dial at a server.
func Example() {
	ctx := context.Background()
	store := new(housework.MemoryStore)
	defer store.Close()

	first, err := store.Add(ctx, "", []housework.Chore{
		{Description: "Mop floors"},
		{Description: "Clean dishes"},
		{Description: "Mow the lawn"},
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := store.Complete(ctx, first+1); err != nil {
		log.Fatal(err)
	}
	chores, err := store.List(ctx, 1, 100)
	if err != nil {
		log.Fatal(err)
	}
	for i, chore := range chores {
		fmt.Println(i+1, chore.Complete, chore.Description)
	}
	// Output:
	// 1 false Mop floors
	// 2 true Clean dishes
	// 3 false Mow the lawn
}

// A list of any length is read by pages.
func ExampleAll() {
	ctx := context.Background()
	store := new(housework.MemoryStore)
	defer store.Close()
	_, err := store.Add(ctx, "", []housework.Chore{
		{Description: "Mop floors"},
		{Description: "Clean dishes", Complete: true},
	})
	if err != nil {
		log.Fatal(err)
	}

	number, open := 0, 0
	for chore, err := range housework.All(ctx, store) {
		if err != nil {
			log.Fatal(err)
		}
		number++
		if !chore.Complete {
			open++
		}
	}
	fmt.Println(open, "of", number, "to do")
	// Output:
	// 1 of 2 to do
}

// A caller that does not know whether its request has arrived sends it again with
// the same id, and learns the number that the chore got the first time.
func ExampleMemoryStore_Add() {
	ctx := context.Background()
	store := new(housework.MemoryStore)
	defer store.Close()

	id := "4f2a-0001" // made up once for each request
	for range 2 {
		number, err := store.Add(ctx, id, []housework.Chore{{Description: "Mop floors"}})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("chore", number)
	}
	_, err := store.Add(ctx, id, []housework.Chore{{Description: "Clean dishes"}})
	fmt.Println(errors.Is(err, housework.ErrRequestIDUsed))
	// Output:
	// chore 1
	// chore 1
	// true
}

// A list may be kept short.
func ExampleMemoryStore_MaxChores() {
	ctx := context.Background()
	store := &housework.MemoryStore{MaxChores: 2}
	defer store.Close()
	for _, description := range []string{"Mop floors", "Clean dishes", "Mow the lawn"} {
		_, err := store.Add(ctx, "", []housework.Chore{{Description: description}})
		if errors.Is(err, housework.ErrFull) {
			fmt.Println("not today:", description)
		} else if err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// not today: Mow the lawn
}

// What no Store takes is told with the chore's place, before anything is sent.
func ExampleValidateAdd() {
	chores := []housework.Chore{
		{Description: "Mop floors"},
		{Description: strings.Repeat("Mop floors again. ", 100)},
	}
	err := housework.ValidateAdd("", chores)
	fmt.Println(err)
	fmt.Println(errors.Is(err, housework.ErrInvalid))
	// Output:
	// housework: chore 2: invalid: description of 1800 bytes exceeds the limit of 1024
	// true
}
