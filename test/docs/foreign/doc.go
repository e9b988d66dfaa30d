// Package foreign holds what our pages show of other projects' API to their own Go types. It is a module of its own, so that these reach
// nobody else's dependencies.
package foreign
