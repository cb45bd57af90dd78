// Package houseworkv1 has the messages of housework.proto and the gRPC service
// RobotMaid, as the protocol buffer compiler makes them. Package housework serves
// and calls it; this one is for those who need the messages themselves.
//
// The messages have the opaque API: fields are read by getters, and set by setters or
// by builders, as in Chore_builder{Description: "Mop floors"}.Build().
package houseworkv1

// This makes the other files anew, from all .proto files of the module.
//go:generate go -C ../../internal/tools run ./protogen ../..
