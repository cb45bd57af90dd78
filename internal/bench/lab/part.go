// Package lab measures one thing in several ways, in turn and on the same machine, so
// that all meet the same moods of it.
//
// A [Part] is a package of the library with its cases. A [Case] has sides, of which the
// first is ours and the others are peers, and metrics. It runs in rounds, in each of which
// every side does the same work once, each time in another order. What is shown is the
// median of the rounds, and what is compared is the ratio within a round.
//
// Servers and clients are processes of their own (see [Process]), so that what each of
// them uses can be told apart. Their CPU time is read from outside.
package lab

// A Part is one package of the library beside its peers.
type Part struct {
	Name  string // of the package
	Job   string // what it is compared at, for the reader of the results
	Peers []Peer
	Cases []Case

	// Growths show how cost grows with the number of things at once.
	Growths []Growth

	// Tested are the targets that a test of the package shows rather than a case here,
	// with the name of the test, as Markdown.
	Tested []string

	// Conclusion is what a reader should take from the figures for a choice of their
	// own, also where a peer is better, as Markdown.
	Conclusion string

	// Child is what a process does that [T.Start] starts: it obeys until its input
	// ends. It is nil if the part starts none.
	Child func() error
}

// A Peer is what the part is compared with.
type Peer struct {
	Name   string // of the side
	What   string // it is, in a few words
	Module string // of Go, whose version is told; or empty
	// Version tells the version of a program, or an error that says what to install.
	Version func() (string, error)
}

// A Case is one kind of work.
type Case struct {
	Name    string
	About   string // what one round of a side does, and how it is checked
	Sides   []Side // the first is ours
	Metrics []Metric
	Targets []Target
	Rounds  int // at most, of a case that takes long; 0 for as many as others have
	Run     func(t *T)
}

// A Side is one way to do the work.
type Side struct {
	Name   string
	Cannot string // why it cannot do the work at all, if so
	// Missing, if not nil, returns an error where the side cannot run on this machine,
	// which says what to install.
	Missing func() error
}

// Ours is the name of the side of the library, in all cases.
const Ours = "ours"

// Sides are sides that can do the work everywhere.
func Sides(names ...string) []Side {
	list := make([]Side, len(names))
	for i, name := range names {
		list[i].Name = name
	}
	return list
}

// A Metric is a figure of each round. The first of a case is the one that the chart shows.
type Metric struct {
	Name string // with its unit
	Best Best
}

// Best says which figures are good ones.
type Best int

// The ways to be good.
const (
	Low  Best = iota // such as CPU time
	High             // such as a rate
	None             // it is told, and not compared
)

// A Target is what the library wants to reach.
type Target struct {
	Metric string
	Side   string // whose it is; ours if empty
	Than   string // the side that it is compared with; if empty, the figure itself has to keep the limit

	// One of them is the limit: of the ratio of Side to Than, or of the figure.
	AtMost, AtLeast float64
	Zero            bool // the figure is to be 0

	// Reason is what a profile says of a target that is missed.
	Reason string
}

// A Growth is a case at several sizes.
type Growth struct {
	Name   string
	About  string
	Axis   string // what there are more and more of
	Points []int  // if nil, 1 to 10,000 in powers of ten
	Case   func(n int) Case
}

// Powers are the points of a [Growth] that has none of its own.
var Powers = []int{1, 10, 100, 1_000, 10_000}
