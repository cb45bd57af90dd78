package unixauth_test

import (
	"errors"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/netparts/netparts/unixauth"
)

const (
	overflowID = 65534 // of NewPolicyInNamespace
	noID       = 1<<32 - 1
)

func TestPolicy(t *testing.T) {
	type rules []unixauth.Rule
	var (
		cred  = unixauth.NewCred
		uids  = unixauth.UIDs
		gids  = unixauth.GIDs
		every = unixauth.Everyone
		all   = unixauth.All
		any   = unixauth.Any
	)
	for _, tt := range []struct {
		name  string
		rules rules
		cred  unixauth.Cred
		want  bool
	}{
		{"no rules", nil, cred(0, 0), false},
		{"zero Rule", rules{{}}, cred(0, 0), false},
		{"zero Rule beside another", rules{{}, uids(5)}, cred(5, 5), true},
		{"zero Cred and Everyone", rules{every()}, unixauth.Cred{}, false},
		{"zero Cred and Root", rules{unixauth.Root()}, unixauth.Cred{}, false},
		{"made by hand and Root", rules{unixauth.Root()}, unixauth.Cred{UID: 0, GID: 0}, false},
		{"zero Cred and group 0", rules{gids(0)}, unixauth.Cred{}, false},

		{"uid", rules{uids(1, 2)}, cred(2, 5), true},
		{"another uid", rules{uids(1, 2)}, cred(3, 1, 2), false},
		{"no uids", rules{uids()}, cred(0, 0), false},
		{"gid is no uid", rules{gids(7)}, cred(7, 5), false},
		{"primary group", rules{gids(1, 2)}, cred(9, 2), true},
		{"supplementary group", rules{gids(1, 2)}, cred(9, 9, 8, 2), true},
		{"another group", rules{gids(1, 2)}, cred(1, 9, 8, 7), false},
		{"no gids", rules{gids()}, cred(0, 0), false},
		{"decimal user", rules{unixauth.Users("71001")}, cred(71001, 1), true},
		{"decimal group", rules{unixauth.Groups("71001")}, cred(1, 1, 71001), true},
		{"decimal group is no user", rules{unixauth.Groups("71001")}, cred(71001, 1), false},
		{"no users", rules{unixauth.Users()}, cred(0, 0), false},
		{"no groups", rules{unixauth.Groups()}, cred(0, 0), false},
		{"no database groups", rules{unixauth.DatabaseGroups()}, cred(0, 0), false},

		{"root", rules{unixauth.Root()}, cred(0, 5), true},
		{"group root is not root", rules{unixauth.Root()}, cred(5, 0, 0), false},
		{"everyone", rules{every()}, cred(5, 5), true},

		{"one of two rules", rules{uids(1), gids(2)}, cred(9, 2), true},
		{"the other", rules{uids(1), gids(2)}, cred(1, 9), true},
		{"neither", rules{uids(1), gids(2)}, cred(2, 1), false},
		{"Any", rules{any(uids(1), gids(2))}, cred(9, 2), true},
		{"Any without rules", rules{any()}, cred(0, 0), false},
		{"All", rules{all(uids(1), gids(2))}, cred(1, 2), true},
		{"half of All", rules{all(uids(1), gids(2))}, cred(1, 9), false},
		{"the other half", rules{all(uids(1), gids(2))}, cred(9, 2), false},
		{"All without rules", rules{all()}, cred(0, 0), false},
		{"All with a zero Rule", rules{all(every(), unixauth.Rule{})}, cred(0, 0), false},
		{"All of nothing beside one", rules{all(all(), every())}, cred(0, 0), false},
		{"nested", rules{all(any(uids(1), uids(2)), any(gids(3), all(gids(4), gids(5))))}, cred(2, 5, 4), true},
		{"nested, one missing", rules{all(any(uids(1), uids(2)), any(gids(3), all(gids(4), gids(5))))}, cred(2, 5, 6), false},

		{"overflow uid and Everyone", rules{every()}, cred(overflowID, 5, 5), false},
		{"overflow uid and its group", rules{gids(5)}, cred(overflowID, 5), false},
		{"overflow gid does no harm", rules{uids(5)}, cred(5, overflowID, overflowID), true},
		{"user -1", rules{every()}, cred(noID, 5), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := unixauth.NewPolicyInNamespace(tt.rules...)
			must(t, err)
			checkDecision(t, p, tt.cred, tt.want)
		})
	}
}

// checkDecision checks whether p allows c, and the error if it does not.
func checkDecision(t *testing.T, p *unixauth.Policy, c unixauth.Cred, want bool) {
	t.Helper()
	err := p.Check(c)
	if (err == nil) != want {
		t.Fatalf("Check(%v) = %v, want it allowed: %t", c, err, want)
	}
	if err == nil {
		return
	}
	if !errors.Is(err, unixauth.ErrDenied) || !errors.Is(err, fs.ErrPermission) {
		t.Errorf("%v matches ErrDenied: %t, and fs.ErrPermission: %t", err, errors.Is(err, unixauth.ErrDenied), errors.Is(err, fs.ErrPermission))
	}
	denied, ok := errors.AsType[*unixauth.DeniedError](err)
	if !ok || denied.Cred.String() != c.String() {
		t.Errorf("%#v does not tell the peer", err)
	}
	if prefix := "unixauth: denied: " + c.String(); !strings.HasPrefix(err.Error(), prefix) {
		t.Errorf("%q, want it to begin with %q", err, prefix)
	}
}

func TestNoPolicyAllowsNobody(t *testing.T) {
	for _, c := range []unixauth.Cred{{}, unixauth.NewCred(0, 0), unixauth.NewCred(uint32(os.Geteuid()+1), 5)} {
		checkDecision(t, nil, c, false)
		checkDecision(t, new(unixauth.Policy), c, false)
	}
}

func TestDeniedErrorSaysWhoAndWhy(t *testing.T) {
	c := unixauth.NewCred(1000, 100, 4)
	for _, tt := range []struct {
		err  error
		want string
	}{
		{&unixauth.DeniedError{Cred: c}, "unixauth: denied: uid=1000 gid=100 groups=4"},
		{&unixauth.DeniedError{Cred: c, Err: fs.ErrClosed}, "unixauth: denied: uid=1000 gid=100 groups=4: file already closed"},
		{&unixauth.DeniedError{Err: unixauth.ErrNoCred}, "unixauth: denied: unknown: no peer credentials"},
	} {
		if got := tt.err.Error(); got != tt.want {
			t.Errorf("Error = %q, want %q", got, tt.want)
		}
	}
	if err := error(&unixauth.DeniedError{Err: fs.ErrClosed}); !errors.Is(err, fs.ErrClosed) || errors.Is(err, fs.ErrExist) {
		t.Error("it does not wrap its cause")
	}
}

func TestNewPolicyRefuses(t *testing.T) {
	const stands, nobody = "stands for all whom a user namespace does not map", "no user or group has this number"
	for _, tt := range []struct {
		name string
		rule unixauth.Rule
		is   error
		says string
	}{
		{"unknown user", unixauth.Users("no\nsuch"), user.UnknownUserError("no\nsuch"), `"no\nsuch"`},
		{"unknown group", unixauth.Groups("no-such"), user.UnknownGroupError("no-such"), `"no-such"`},
		{"unknown database group", unixauth.DatabaseGroups("no-such"), user.UnknownGroupError("no-such"), `"no-such"`},
		{"empty name", unixauth.Users(""), user.UnknownUserError(""), `""`},
		{"empty group", unixauth.Groups(""), user.UnknownGroupError(""), `""`},
		{"negative", unixauth.Users("-1"), user.UnknownUserError("-1"), `"-1"`},
		{"signed", unixauth.Groups("+71001"), user.UnknownGroupError("+71001"), `"+71001"`},
		{"hexadecimal", unixauth.Users("0x10"), user.UnknownUserError("0x10"), `"0x10"`},
		{"of 33 bits", unixauth.Users("4294967296"), user.UnknownUserError("4294967296"), `"4294967296"`},
		{"after one that is known", unixauth.Users("71001", "no-such"), user.UnknownUserError("no-such"), `"no-such"`},
		{"inside", unixauth.Any(unixauth.All(unixauth.Root(), unixauth.Groups("no-such"))), user.UnknownGroupError("no-such"), `"no-such"`},

		{"overflow uid", unixauth.UIDs(0, overflowID), nil, stands},
		{"overflow gid", unixauth.GIDs(0, overflowID), nil, stands},
		{"overflow user", unixauth.Users("65534"), nil, stands},
		{"overflow group", unixauth.Groups("65534"), nil, stands},
		{"overflow database group", unixauth.DatabaseGroups("65534"), nil, stands},
		{"user -1", unixauth.UIDs(noID), nil, nobody},
		{"group -1", unixauth.GIDs(noID), nil, nobody},
		{"named -1", unixauth.Users("4294967295"), nil, nobody},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := unixauth.NewPolicyInNamespace(unixauth.Root(), tt.rule)
			if err == nil || p != nil {
				t.Fatalf("NewPolicy = %v, %v, want an error", p, err)
			}
			if tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("%v does not wrap %T", err, tt.is)
			}
			if !strings.Contains(err.Error(), tt.says) || !strings.HasPrefix(err.Error(), "unixauth: ") {
				t.Errorf("%q does not say %s", err, tt.says)
			}
		})
	}
}

func TestMapOfAUserNamespace(t *testing.T) {
	for _, tt := range []struct {
		name, content string
		want          bool
	}{
		{"the first one", "         0          0 4294967295\n", true},
		{"a copy of it in two lines", "0 0 1000\n1000 1000 4294966295\n", true},
		{"all but one", "0 0 4294967294\n", false},
		{"of a container", "0 100000 65536\n", false},
		{"one user", "0 1000 1\n", false},
		{"empty", "", false},
		{"not a map", "0 0 many\n", false},
		{"a line too short", "4294967295\n", false},
	} {
		path := filepath.Join(t.TempDir(), "uid_map")
		must(t, os.WriteFile(path, []byte(tt.content), 0o400))
		if got := unixauth.MapsAll(path); got != tt.want {
			t.Errorf("%s: all ids: %t, want %t", tt.name, got, tt.want)
		}
	}
	if unixauth.MapsAll(filepath.Join(t.TempDir(), "none")) {
		t.Error("a map that cannot be read has all ids")
	}
}

func TestNewPolicyTellsAllFaults(t *testing.T) {
	_, err := unixauth.NewPolicy(unixauth.Users("no-user", "nor-user"), unixauth.All(unixauth.Groups("no-group")))
	for _, want := range []error{
		user.UnknownUserError("no-user"), user.UnknownUserError("nor-user"), user.UnknownGroupError("no-group"),
	} {
		if !errors.Is(err, want) {
			t.Errorf("%v lacks: %v", err, want)
		}
	}
}

// A policy is what the rules were when it was made.
func TestPolicyDoesNotChangeWithItsRules(t *testing.T) {
	uids, names := []uint32{5}, []string{"7"}
	parts := []unixauth.Rule{unixauth.UIDs(uids...), unixauth.Users(names...)}
	p, err := unixauth.NewPolicy(unixauth.Any(parts...))
	must(t, err)
	uids[0], names[0], parts[1] = 6, "8", unixauth.Everyone()
	for uid, want := range map[uint32]bool{5: true, 6: false, 7: true, 8: false} {
		checkDecision(t, p, unixauth.NewCred(uid, uid), want)
	}
}

// The number of a user is written in digits: as a rune it is another, and nobody is found.
func TestNumberOfAUserIsNotMadeARune(t *testing.T) {
	u, group := rootOfDatabase(t)
	id, err := strconv.ParseUint(u.Uid, 10, 32)
	must(t, err)
	c := unixauth.NewCred(uint32(id), 71001)
	for name, rule := range map[string]unixauth.Rule{
		"user":              unixauth.Users(u.Username),
		"database group":    unixauth.DatabaseGroups(group.Name),
		"its number":        unixauth.DatabaseGroups(group.Gid),
		"with a missing ID": unixauth.Any(unixauth.DatabaseGroups(group.Name), unixauth.UIDs(71002)),
	} {
		p, err := unixauth.NewPolicy(rule)
		must(t, err)
		if err := p.Check(c); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What the database says of a user is not what the process has, and Groups looks at that.
func TestGroupsAreNotLookedUpForAUser(t *testing.T) {
	u, group := rootOfDatabase(t)
	id, err := strconv.ParseUint(u.Uid, 10, 32)
	must(t, err)
	p, err := unixauth.NewPolicy(unixauth.Groups(group.Name))
	must(t, err)
	checkDecision(t, p, unixauth.NewCred(uint32(id), 71001), false)
	gid, err := strconv.ParseUint(group.Gid, 10, 32)
	must(t, err)
	checkDecision(t, p, unixauth.NewCred(uint32(id), uint32(gid)), true)
	checkDecision(t, p, unixauth.NewCred(71001, 71001, uint32(gid)), true)
}

// rootOfDatabase returns user 0 and its primary group.
func rootOfDatabase(t *testing.T) (*user.User, *user.Group) {
	t.Helper()
	u, err := user.LookupId("0")
	if err != nil {
		t.Skipf("the user database has no user 0: %v", err)
	}
	g, err := user.LookupGroupId(u.Gid)
	must(t, err)
	return u, g
}

func TestDatabaseGroupsOfAnUnknownUser(t *testing.T) {
	p, err := unixauth.NewPolicy(unixauth.DatabaseGroups("0"))
	must(t, err)
	err = p.Check(unixauth.NewCred(71001, 0, 0))
	if _, ok := errors.AsType[user.UnknownUserIdError](err); !ok || !errors.Is(err, unixauth.ErrDenied) {
		t.Errorf("Check = %v, want ErrDenied, and user.UnknownUserIdError", err)
	}
}

// The database is asked only if other rules do not decide.
func TestDatabaseIsAskedLast(t *testing.T) {
	slow := unixauth.DatabaseGroups("0")
	for name, rule := range map[string]unixauth.Rule{
		"Any": unixauth.Any(unixauth.All(slow), unixauth.UIDs(71001)),
		"All": unixauth.All(slow, unixauth.UIDs(71002)),
	} {
		p, err := unixauth.NewPolicy(rule)
		must(t, err)
		// The database does not know the user, and the error would tell that it was asked.
		err = p.Check(unixauth.NewCred(71001, 5))
		if _, ok := errors.AsType[user.UnknownUserIdError](err); ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSelf(t *testing.T) {
	p, err := unixauth.NewPolicy(unixauth.Self())
	must(t, err)
	own := uint32(os.Geteuid())
	checkDecision(t, p, unixauth.NewCred(own, 71001), true)
	checkDecision(t, p, unixauth.NewCred(own+1, uint32(os.Getegid())), false)
}

func TestCheckDoesNotAllocate(t *testing.T) {
	p, err := unixauth.NewPolicy(
		unixauth.All(unixauth.Users("7"), unixauth.Any(unixauth.Groups("8"), unixauth.GIDs(9))),
		unixauth.Self(),
	)
	must(t, err)
	c := unixauth.NewCred(7, 7, 1, 9)
	if n := testing.AllocsPerRun(1000, func() { must(t, p.Check(c)) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
