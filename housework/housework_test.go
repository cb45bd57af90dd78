package housework_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/netparts/netparts/housework"
)

func TestValidateAdd(t *testing.T) {
	long := strings.Repeat("x", housework.MaxDescription)
	longID := strings.Repeat("i", housework.MaxRequestID)
	for _, tt := range []struct {
		name, id string
		texts    []string
		want     string // the error, or none
		number   int    // of the chore that it is about
	}{
		{"nothing", "", nil, "", 0},
		{"plain", "id-1", []string{"Mop floors", "Clean dishes"}, "", 0},
		{"control characters", "", []string{"a\x00\n\x1b[1m"}, "", 0},
		{"as long as can be", longID, []string{long}, "", 0},
		{"printable", " !/0@AZ`az~", []string{"x"}, "", 0},
		{"empty", "", []string{"a", ""}, "housework: chore 2: invalid: no description", 2},
		{"too long", "", []string{long + "x"}, "housework: chore 1: invalid: description of 1025 bytes exceeds the limit of 1024", 1},
		{"too long in bytes", "", []string{strings.Repeat("é", 513)}, "housework: chore 1: invalid: description of 1026 bytes exceeds the limit of 1024", 1},
		{"not UTF-8", "", []string{"a", "b", "c\xff"}, "housework: chore 3: invalid: description is not UTF-8", 3},
		{"the first of several", "", []string{"a", "", "\xff"}, "housework: chore 2: invalid: no description", 2},
		{"long id", longID + "i", []string{"x"}, "housework: invalid: request id of 65 bytes exceeds the limit of 64", 0},
		{"id of nothing", "a\nb", nil, `housework: invalid: request id "a\nb" has other characters than printable ASCII`, 0},
		{"delete", "\x7f", []string{"x"}, `housework: invalid: request id "\x7f" has other characters than printable ASCII`, 0},
		{"id beyond ASCII", "é", []string{""}, `housework: invalid: request id "é" has other characters than printable ASCII`, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := housework.ValidateAdd(tt.id, modelChores(tt.texts...))
			if tt.want == "" {
				if err != nil {
					t.Errorf("ValidateAdd = %v, want nil", err)
				}
				return
			}
			if err == nil || err.Error() != tt.want || !errors.Is(err, housework.ErrInvalid) {
				t.Errorf("ValidateAdd = %v, want %s, which matches ErrInvalid", err, tt.want)
			}
			number := 0
			if e, ok := errors.AsType[*housework.ChoreError](err); ok {
				number = e.Number
			}
			if number != tt.number {
				t.Errorf("the error is about chore %d, want %d", number, tt.number)
			}
		})
	}
}

// What is valid costs no memory.
func TestValidateAddAllocates(t *testing.T) {
	chores := modelChores("Mop floors", "Fenster putzen: süß")
	if n := testing.AllocsPerRun(100, func() {
		if err := housework.ValidateAdd("id", chores); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

func modelChores(texts ...string) []housework.Chore {
	chores := make([]housework.Chore, len(texts))
	for i, text := range texts {
		chores[i].Description = text
	}
	return chores
}
