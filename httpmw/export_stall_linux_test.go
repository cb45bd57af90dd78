package httpmw

// CutStalled sets how long a peer may accept nothing.
var CutStalled = cutStalled
