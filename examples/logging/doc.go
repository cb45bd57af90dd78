// Package logging teaches how a network service logs, with log, log/slog and the parts of
// this library. Its Examples and Tests are the lessons, in this order:
//
//	log_test.go        a prefix, flags, and the line of the source
//	multi_test.go      one logger to a terminal and a file, when one of them fails
//	levels_test.go     levels with log, and what a debug logger costs when it is off
//	slog_test.go       keys and values as JSON for machines and as text for people
//	tee_test.go        JSON to a file and text to a console, each from a level of its own
//	sample_test.go     the first of equal messages, and then every n-th
//	level_test.go      a level that is changed over HTTP
//	levelfile_test.go  a level that a file lowers while it exists
//	wide_test.go       one record about each request
//	fatal_test.go      why an error is returned rather than the end of the program
//	secret_test.go     values that no log shows
//
// Three types are here to be copied: [Sampler], a handler that thins out a stream of equal
// messages, [LevelFile], which watches that file, and [Secret]. What the standard library
// has is used as it is: slog.NewMultiHandler writes to several handlers, slog.LevelVar holds
// a level that changes, and slog.DiscardHandler is silent.
package logging
