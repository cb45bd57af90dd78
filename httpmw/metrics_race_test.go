//go:build race

package httpmw_test

// raceDetector makes tests smaller that take long under it.
const raceDetector = true
