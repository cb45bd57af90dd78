// Package logs shows structured logs with zap: encoders and levels, several outputs at once,
// sampling, a level that a file lowers while the program runs, and files that are rotated.
//
// Its lessons are its Examples and tests. What they need beyond zap are two things that a
// program can take over: [WatchLevel], and the settings of [NewFile].
package logs
