package unixauth_test

import (
	"errors"
	"fmt"
	"log"

	"github.com/netparts/netparts/unixauth"
)

// A policy is asked about credentials, which NewCred makes for a test of it.
func ExampleNewPolicy() {
	policy, err := unixauth.NewPolicy(unixauth.GIDs(4, 24), unixauth.Root())
	if err != nil {
		log.Fatal(err)
	}
	for _, cred := range []unixauth.Cred{
		unixauth.NewCred(1000, 24),          // as the primary group
		unixauth.NewCred(1000, 1000, 4, 20), // as one of the others
		unixauth.NewCred(0, 0),
		unixauth.NewCred(1000, 1000, 20),
	} {
		if err := policy.Check(cred); err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println("welcome:", cred)
	}
	// Output:
	// welcome: uid=1000 gid=24
	// welcome: uid=1000 gid=1000 groups=4,20
	// welcome: uid=0 gid=0
	// unixauth: denied: uid=1000 gid=1000 groups=20
}

// A name that the user database does not have is an error at the start, rather than a
// rule that nobody meets.
func ExampleNewPolicy_unknown() {
	_, err := unixauth.NewPolicy(unixauth.Groups("no-such-group"))
	fmt.Println(err)
	// Output:
	// unixauth: policy: "no-such-group": group: unknown group no-such-group
}

func ExampleNewCred() {
	cred := unixauth.NewCred(1000, 100, 4, 24)
	fmt.Println(cred, cred.HasGroup(100), cred.HasGroup(24), cred.HasGroup(5))
	// Output:
	// uid=1000 gid=100 groups=4,24 true true false
}

// Rules are combined: here, the operators, and those of the backup group who are in the
// group of users as well, or root.
func ExampleRule() {
	const operators, backup, users = 37, 34, 100
	policy, err := unixauth.NewPolicy(
		unixauth.GIDs(operators),
		unixauth.All(unixauth.GIDs(backup), unixauth.Any(unixauth.GIDs(users), unixauth.Root())),
	)
	if err != nil {
		log.Fatal(err)
	}
	for _, cred := range []unixauth.Cred{
		unixauth.NewCred(1000, 1000, operators),
		unixauth.NewCred(1001, 1001, backup, users),
		unixauth.NewCred(1002, 1002, backup),
	} {
		err := policy.Check(cred)
		fmt.Println(cred.UID, err == nil, errors.Is(err, unixauth.ErrDenied))
	}
	// Output:
	// 1000 true false
	// 1001 true false
	// 1002 false true
}
