package logs

import (
	"time"

	"github.com/DeRuina/timberjack"
)

// backupTime is the form of the time in the names of rotated files. With nanoseconds no two
// rotations share a name, and since the digits are in the order of their weight, the
// names sort by time. MaxBackups counts times, not files, and needs that too.
const backupTime = "2006-01-02T15-04-05.000000000"

// NewFile returns the file that a program logs to, of which older parts are kept for a
// while: with the name "debug.log" they are "debug-TIME-size.log.gz". It is made with the
// first line, is a zapcore.WriteSyncer as it stands, and may be used by several goroutines.
// The caller must call Close, which waits until all is compressed; a line that is written
// later still gets into the file, which is then opened for it alone and no longer rotated.
//
// The fields of the result may be changed before the first line. One process may write to
// a file, not several.
func NewFile(name string) *timberjack.Logger {
	return &timberjack.Logger{
		Filename: name,

		// The file is rotated before a line that would make it longer than this many
		// megabytes. A single line that is longer is refused with an error.
		MaxSize: 100,

		// These two say what is removed, and rotate nothing: rotated files after this
		// many days, and the oldest beyond this number.
		MaxAge:     7,
		MaxBackups: 5,

		// This rotates by time, with the first line after it. A file of a program
		// that logs little so has an end too. It counts from the first line that a
		// process writes: one that is started anew more often never gets there.
		RotationInterval: 24 * time.Hour,

		Compression: "gzip",

		// The time is that of UTC, without LocalTime: local clocks show one hour of the
		// year twice, in which names would no longer sort by time.
		BackupTimeFormat: backupTime,

		FileMode: 0o600, // logs tell of people
	}
}
