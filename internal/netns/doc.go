// Package netns gives tests networks of their own, in which every address and
// port is free and nothing leaves the machine. They need Linux and the rights of
// root.
package netns
