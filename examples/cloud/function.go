// Package cloud registers the function that Google's builder looks for: it wants it at
// the root of a module, by a package that imports functions itself. What the function
// does stands in package gcp, and how to deploy it in gcp/README.md.
package cloud

import (
	"github.com/GoogleCloudPlatform/functions-framework-go/functions"

	"github.com/netparts/netparts/examples/cloud/gcp"
)

func init() { functions.HTTP("LatestXKCD", gcp.LatestXKCD) }
