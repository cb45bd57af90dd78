package main

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/netparts/netparts/examples/cloud/internal/rig"
	"github.com/netparts/netparts/examples/cloud/xkcd"
)

var (
	walk = xkcd.Response{Title: rig.Walk.Title, URL: rig.Walk.URL, Published: rig.Walk.Published}
	tea  = xkcd.Response{Title: rig.Tea.Title, URL: rig.Tea.URL, Published: rig.Tea.Published}
)

func TestMain(m *testing.M) {
	os.Exit(rig.Main(m, map[string]func(){
		"aws": main,
		"panics": func() {
			lambda.Start(func(context.Context, xkcd.Request) (xkcd.Response, error) { panic("no comic today") })
		},
	}))
}

// A warm instance answers one invocation after another, and asks the feed only whether it
// has changed.
func TestInvocationsOnAWarmInstance(t *testing.T) {
	api, f := newRuntime(t), rig.NewFeed(t, rig.Walk, rig.Tea)
	rig.Start(t, "aws", apiVariable+"="+api.addr, xkcd.FeedVariable+"="+f.URL)
	for _, tt := range []struct {
		payload string
		want    xkcd.Response
	}{
		{`{}`, walk},
		{`{"previous":true}`, tea},
		{`{"previous":true,"colour":"red"}`, tea},
		{`{"refresh":true}`, walk},
		{`null`, walk},
	} {
		o := api.invoke(t, tt.payload, time.Minute)
		if got := decode[xkcd.Response](t, o, "response"); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.payload, got, tt.want)
		}
	}
	since := `since "v1": 304`
	want := []string{"whole: 200", since, since, "refresh: 200", since}
	if got := f.Requests(); !slices.Equal(got, want) {
		t.Errorf("the feed was asked %q, want %q", got, want)
	}
}

// Without a feed there is an error, whose type a client can tell, and no default that
// looks like a comic. The instance lives on, and a stale answer is none but an answer.
func TestInvocationsWhileTheFeedFails(t *testing.T) {
	api, f := newRuntime(t), rig.NewFeed(t)
	p := rig.Start(t, "aws", apiVariable+"="+api.addr, xkcd.FeedVariable+"="+f.URL)
	f.Fail(http.StatusServiceUnavailable)
	got := decode[failure](t, api.invoke(t, "{}", time.Minute), "error")
	if got.ErrorType != "UnavailableError" || got.ErrorMessage != "xkcd: no comics: feed: the server answered 503 Service Unavailable" {
		t.Errorf("%+v", got)
	}
	got = decode[failure](t, api.invoke(t, `{"previous":1}`, time.Minute), "error")
	if got.ErrorType != "UnmarshalTypeError" {
		t.Errorf("%+v", got)
	}
	f.Publish(rig.Walk)
	if got := decode[xkcd.Response](t, api.invoke(t, "{}", time.Minute), "response"); got != walk {
		t.Errorf("%v", got)
	}
	f.Fail(http.StatusServiceUnavailable)
	if got := decode[xkcd.Response](t, api.invoke(t, "{}", time.Minute), "response"); got != walk {
		t.Errorf("stale: %v", got)
	}
	p.Log(t, func(log string) bool {
		return strings.Count(log, `"level":"ERROR"`) == 2 && strings.Count(log, `"level":"WARN","msg":"the answer is stale"`) == 1
	})
	for line := range strings.Lines(p.Stderr.String()) {
		if !strings.HasPrefix(line, `{"time":"`) {
			t.Errorf("a line is no JSON: %s", line)
		}
	}
}

// A feed that hangs does not take the invocation with it: the answer goes out before the
// deadline, at which Lambda would end the program.
func TestInvocationsWhileTheFeedHangs(t *testing.T) {
	api, f := newRuntime(t), rig.NewFeed(t, rig.Walk)
	p := rig.Start(t, "aws", apiVariable+"="+api.addr, xkcd.FeedVariable+"="+f.URL)
	decode[xkcd.Response](t, api.invoke(t, "{}", time.Minute), "response")
	f.Hang()
	if got := decode[xkcd.Response](t, api.invoke(t, "{}", margin+100*time.Millisecond), "response"); got != walk {
		t.Errorf("%v", got)
	}
	p.Log(t, func(log string) bool { return strings.Contains(log, errTime.Error()) })
}

func TestInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := inTime(func(ctx context.Context, _ xkcd.Request) (xkcd.Response, error) {
			<-ctx.Done()
			return xkcd.Response{}, context.Cause(ctx)
		})
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		begin := time.Now()
		if _, err := f(ctx, xkcd.Request{}); !errors.Is(err, errTime) {
			t.Error(err)
		}
		if took := time.Since(begin); took != 3*time.Second-margin {
			t.Errorf("the function was told after %v", took)
		}
	})
}

// A panic is reported with its stack, and ends the instance: Lambda starts another, whose
// state is not in doubt.
func TestInvocationThatPanics(t *testing.T) {
	api := newRuntime(t)
	p := rig.Start(t, "panics", apiVariable+"="+api.addr)
	got := decode[failure](t, api.invoke(t, "{}", time.Minute), "error")
	if got.ErrorMessage != "no comic today" || got.ErrorType != "string" || len(got.StackTrace) == 0 {
		t.Errorf("%+v", got)
	}
	if status := p.Status(t); status != 1 {
		t.Errorf("exit status %d, want 1", status)
	}
}

func TestWrongUse(t *testing.T) {
	for _, tt := range []struct {
		name, api, feed string
		args            []string
		status          int
		stderr          string
	}{
		{"no runtime", "", "", nil, 1, "aws: AWS_LAMBDA_RUNTIME_API is not set: Lambda sets it\n"},
		{"no URL", "127.0.0.1:1", "comics", nil, 1, "aws: xkcd: the URL of the feed is no http or https URL\n"},
		{"an argument", "127.0.0.1:1", "", []string{"x"}, 2, "aws: unexpected argument \"x\"\n"},
		{"a flag", "127.0.0.1:1", "", []string{"-x"}, 2, "flag provided but not defined: -x\nUsage of aws:\n"},
		{"help", "", "", []string{"-h"}, 0, "Usage of aws:\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv(apiVariable, tt.api)
			t.Setenv(xkcd.FeedVariable, tt.feed)
			var stdout, stderr bytes.Buffer
			if status := run(t.Context(), tt.args, &stdout, &stderr); status != tt.status || stderr.String() != tt.stderr || stdout.Len() != 0 {
				t.Errorf("status %d, %q, %q", status, &stdout, &stderr)
			}
		})
	}
}
