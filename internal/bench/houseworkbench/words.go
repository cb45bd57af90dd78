//go:build linux

package houseworkbench

// The reasons for targets that are missed, or may be on some runs.
const (
	addReason = "A client of ours gives each call a deadline, which is a timer and a header that differs from call to call, and a request id, " +
		"which makes a second try safe and which the server keeps. The profiles have no other difference of note: grpc-go with deadlines costs nearly as much."

	listReason = "A page is a call, and the next is asked for when one was handed out, so that both ends wait for each other a hundred times; " +
		"the generated code with the same pages is behind one message as well. In profiles of ours most is in decoding at the client, and in making " +
		"messages at the server, of copies, as chores may be completed meanwhile."

	gobReason = "A profile has a quarter of the time in looking whether texts are UTF-8, which encoding/gob does not, and as much in copying them; " +
		"the collector's share, which is as large as that, differs from round to round for both."

	fileReason = "A commit is two calls of fsync and a rename. How long these take differs from round to round on a disk that others use, too."
)

const conclusion = `- A call of this package costs a tenth or two more than one of the generated code, for deadlines, request ids and limits. Who needs none
  of these, or has messages of another kind, is better off with plain grpc-go. With connect-go,
  which goes through net/http, a call alone costs some half more CPU time, and one among others twice as much or more; it is the choice where browsers or plain HTTP handlers
  have to take part, which this package does not do.
- One message is the cheapest way to send a long list, for as long as it stays within gRPC's limit and both ends have the memory.
  Pages keep messages small, whatever the length of the list, and that takes more time for the whole.
- The generated code takes whatever fits into a message. A server that strangers can reach needs a limit before it decodes, which
  the server of this package has.
- All three formats are read and written about as cheaply as by the bare encoders or more so, with the checks of a file. JSON is the one
  that people can read, and costs somewhat more than Protobuf; a file that was edited by hand is read by encoding/json, at
  several times the cost. With a list of some length Gob takes half of the time of JSON or less. Both take less memory to read.
- A FileStore writes the whole list for each commit: it is for lists of some thousand chores that people add to, in a file that other
  programs can read. Writers at once share commits. With one writer bbolt adds at less cost to a list of any length, and that
  hardly grows with the list. With many writers its Update falls behind shared commits, but its Batch is ahead as soon as it is told how many
  there are. For longer lists, or many adds a second, it is better. Rewriting a file without fsync, as the book
  does, is no faster with a list of some length, since it reads the file each time, and a crash may take the list away.
`
