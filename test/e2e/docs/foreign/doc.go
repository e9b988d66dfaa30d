// Package foreign checks our pages' examples of other projects' APIs against their own Go types. It
// is a module of its own, so that these do not become dependencies of netbaseline.
package foreign
