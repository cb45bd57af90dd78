// Package house holds the tests that keep the rules of the whole repository:
// which package may import what, that every Example runs, that every exported
// field is documented, that the README shows the code that is tested, and that the
// learning path of the examples leads where it says.
package house
