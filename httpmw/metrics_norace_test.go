//go:build !race

package httpmw_test

const raceDetector = false
