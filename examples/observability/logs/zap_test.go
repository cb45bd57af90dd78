package logs_test

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"os"
	"path"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// encoderConfig names the keys of an entry, and says how its values look. It knows nothing of
// where entries go, so one is enough for all encoders. What has no key is left out: the time
// here, so that the outputs are always the same. A program sets TimeKey: "time" and
// EncodeTime: zapcore.RFC3339NanoTimeEncoder.
var encoderConfig = zapcore.EncoderConfig{
	MessageKey:     "msg",
	NameKey:        "name",
	LevelKey:       "level",
	EncodeLevel:    zapcore.LowercaseLevelEncoder,
	CallerKey:      "caller",
	EncodeCaller:   zapcore.ShortCallerEncoder,
	EncodeDuration: zapcore.StringDurationEncoder,
}

// terminal is the standard output, made safe for several loggers that share it. What is behind
// it may be unable to sync, so it shows its method Write alone: see TestSyncOfAPipe.
func terminal() zapcore.WriteSyncer {
	return zapcore.Lock(zapcore.AddSync(struct{ io.Writer }{os.Stdout}))
}

// Entries for machines: JSON, with what every entry of a program has, such as its version.
// A program finds that out with debug.ReadBuildInfo.
func Example_json() {
	const version = "v1.2.3"
	config := encoderConfig
	// zapcore.ShortCallerEncoder adds the folder and the line, which changes with each edit.
	config.EncodeCaller = func(caller zapcore.EntryCaller, enc zapcore.PrimitiveArrayEncoder) {
		enc.AppendString(path.Base(caller.File))
	}
	core := zapcore.NewCore(zapcore.NewJSONEncoder(config), terminal(), zapcore.DebugLevel)
	logger := zap.New(core, zap.AddCaller(), zap.Fields(zap.String("version", version))).Named("example")

	logger.Debug("the handshake begins")
	logger.Info("the handshake is done")
	if err := logger.Sync(); err != nil {
		log.Fatal(err)
	}
	// Output:
	// {"level":"debug","name":"example","caller":"zap_test.go","msg":"the handshake begins","version":"v1.2.3"}
	// {"level":"info","name":"example","caller":"zap_test.go","msg":"the handshake is done","version":"v1.2.3"}
}

// Entries for people: the same values without their keys, and tabs between. What is below the
// level is dropped, so that debug calls may stay in the code.
func Example_console() {
	core := zapcore.NewCore(zapcore.NewConsoleEncoder(encoderConfig), terminal(), zapcore.InfoLevel)
	logger := zap.New(core).Named("[console]")

	logger.Info("a connection is accepted")
	logger.Debug("a packet arrives")
	logger.Error("accepting fails")
	if err := logger.Sync(); err != nil {
		log.Fatal(err)
	}
	// Output:
	// info	[console]	a connection is accepted
	// error	[console]	accepting fails
}

// Any io.Writer takes entries: AddSync gives it a Sync that does nothing if it has none.
func Example_buffer() {
	file := new(bytes.Buffer) // in place of a file
	core := zapcore.NewCore(zapcore.NewJSONEncoder(encoderConfig), zapcore.Lock(zapcore.AddSync(file)), zapcore.InfoLevel)
	logger := zap.New(core)

	logger.Debug("a packet arrives")
	logger.Error("accepting fails")
	fmt.Print(file)
	// Output:
	// {"level":"error","msg":"accepting fails"}
}

// A logger with a second core: the file gets what it always got, and the terminal all of it,
// in another form. The logger that it is made from does not change.
func Example_tee() {
	file := new(bytes.Buffer) // in place of a file
	core := zapcore.NewCore(zapcore.NewJSONEncoder(encoderConfig), zapcore.Lock(zapcore.AddSync(file)), zapcore.InfoLevel)
	logger := zap.New(core)

	both := logger.WithOptions(zap.WrapCore(func(c zapcore.Core) zapcore.Core {
		upper := encoderConfig
		upper.EncodeLevel = zapcore.CapitalLevelEncoder
		return zapcore.NewTee(c, zapcore.NewCore(zapcore.NewConsoleEncoder(upper), terminal(), zapcore.DebugLevel))
	}))

	fmt.Println("terminal:")
	both.Debug("a packet arrives")
	both.Info("the connection ends")
	logger.Error("accepting fails")
	fmt.Println("file:")
	fmt.Print(file)
	// Output:
	// terminal:
	// DEBUG	a packet arrives
	// INFO	the connection ends
	// file:
	// {"level":"info","msg":"the connection ends"}
	// {"level":"error","msg":"accepting fails"}
}

// A stopped clock goes on when it is told to.
type stoppedClock struct{ now time.Time }

func (c *stoppedClock) Now() time.Time                       { return c.now }
func (*stoppedClock) NewTicker(d time.Duration) *time.Ticker { return time.NewTicker(d) }

// A sampler keeps a loop from filling the disk: of entries with the same level and message it
// passes the first in each second, and then every third. Other entries are not touched.
func Example_sampling() {
	clock := &stoppedClock{now: time.Unix(0, 0)}
	core := zapcore.NewCore(zapcore.NewJSONEncoder(encoderConfig), terminal(), zapcore.DebugLevel)
	logger := zap.New(zapcore.NewSamplerWithOptions(core, time.Second, 1, 3), zap.WithClock(clock))

	for i := range 10 {
		if i == 5 {
			clock.now = clock.now.Add(time.Second) // the count begins anew
		}
		logger.Debug(fmt.Sprint(i))
		logger.Debug("debug message")
	}
	// Output:
	// {"level":"debug","msg":"0"}
	// {"level":"debug","msg":"debug message"}
	// {"level":"debug","msg":"1"}
	// {"level":"debug","msg":"2"}
	// {"level":"debug","msg":"3"}
	// {"level":"debug","msg":"debug message"}
	// {"level":"debug","msg":"4"}
	// {"level":"debug","msg":"5"}
	// {"level":"debug","msg":"debug message"}
	// {"level":"debug","msg":"6"}
	// {"level":"debug","msg":"7"}
	// {"level":"debug","msg":"8"}
	// {"level":"debug","msg":"debug message"}
	// {"level":"debug","msg":"9"}
}
