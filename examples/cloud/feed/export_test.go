package feed

// For tests of the document and of redirects alone.
var (
	Parse         = parse
	CheckRedirect = checkRedirect
	EntityTag     = entityTag
)

// MaxItems and MaxDepth are limits of documents.
const (
	MaxItems = maxItems
	MaxDepth = maxDepth
)
