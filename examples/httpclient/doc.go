// Package httpclient teaches how to write clients of HTTP: each file of its tests is a
// lesson, to be read from the top and copied from.
//
//   - raw: what a request and a response are on the connection;
//   - skew: HEAD, and the clock of a server;
//   - deadline: requests that never end, and a deadline for all of a request;
//   - phases: one time-out for the header and one for the body, or for each piece of it;
//   - reuse: when a connection serves the next request, and how to end it on purpose;
//   - json: data in the body of a request, and the service that reads it;
//   - multipart: forms with files, of any size in constant memory;
//   - etag: asking only for what has changed;
//   - expect: asking for leave before a large body is sent.
//
// What [http.Get] and the other functions of that kind use has no time-out at all, so the
// lessons make clients and requests of their own. All servers are in the same process,
// and most of them in memory, where a day of waiting takes no time.
//
// [Echo] is a service to try clients on: it answers with what it has understood of the
// request.
package httpclient
