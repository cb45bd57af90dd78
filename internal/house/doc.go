// Package house holds the tests that keep the rules of the whole repository:
// which package may import what, that every Example runs, that every exported
// field is documented, and that the README shows the code that is tested.
package house
