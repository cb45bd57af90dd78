package dns

// Parse takes an answer to a question.
var Parse = parse
