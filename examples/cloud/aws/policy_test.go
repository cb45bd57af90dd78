package main

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"
)

// The role may be taken by Lambda, and by nobody else.
func TestTrustPolicy(t *testing.T) {
	b, err := os.ReadFile("trust-policy.json")
	if err != nil {
		t.Fatal(err)
	}
	type statement struct {
		Effect    string
		Principal struct{ Service string }
		Action    string
	}
	var policy struct {
		Version   string
		Statement []statement
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields() // such as a second principal
	if err := d.Decode(&policy); err != nil {
		t.Fatal(err)
	}
	want := statement{Effect: "Allow", Action: "sts:AssumeRole"}
	want.Principal.Service = "lambda.amazonaws.com"
	// The version is that of the language, and "2008-10-17" would be another.
	if policy.Version != "2012-10-17" || len(policy.Statement) != 1 || policy.Statement[0] != want {
		t.Errorf("%+v", policy)
	}
}
