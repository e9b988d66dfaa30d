package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"strconv"
	"strings"
)

// group is a block of constants: its comment and its members.
type group struct {
	title   string
	members []constant
}

// constant is a word of the API, with its comment.
type constant struct {
	name, value, doc string
}

// is reports whether the group contains the constants whose names begin with the prefix.
func (g *group) is(prefix string) bool { return strings.HasPrefix(g.members[0].name, prefix) }

// constants reads the blocks of string constants in a file. Each member must have a comment that
// begins with its name.
func constants(path string) ([]group, error) {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	var groups []group
	for _, declaration := range file.Decls {
		block, ok := declaration.(*ast.GenDecl)
		if !ok || block.Tok != token.CONST {
			continue
		}
		g := group{title: strings.TrimSuffix(oneLine(block.Doc.Text()), ".")}
		for _, spec := range block.Specs {
			member, err := member(spec.(*ast.ValueSpec))
			if err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			g.members = append(g.members, member)
		}
		groups = append(groups, g)
	}
	return groups, nil
}

func member(spec *ast.ValueSpec) (constant, error) {
	name := spec.Names[0].Name
	doc, ok := strings.CutPrefix(oneLine(spec.Doc.Text()), name+" ")
	if !ok {
		return constant{}, fmt.Errorf("the comment on %s does not begin with its name", name)
	}
	literal, ok := spec.Values[0].(*ast.BasicLit)
	if !ok {
		return constant{}, fmt.Errorf("%s is not written out", name)
	}
	value, err := strconv.Unquote(literal.Value)
	return constant{name: name, value: value, doc: doc}, err
}

var source = regexp.MustCompile(` Source: (\S+)$`)

// oneLine joins the lines of a comment. The line that names its source is for readers of
// the code, and is dropped.
func oneLine(comment string) string {
	return source.ReplaceAllString(strings.Join(strings.Fields(comment), " "), "")
}

// announcement is the call that writes an event.
type announcement struct {
	kind   string   // Normal or Warning
	object string   // what it is on
	says   []string // its message; several if part of it is chosen from a list
}

// announcements reads, by the names of the constants of their reasons, how the events in a file are
// written. The constants in names are written out.
func announcements(path string, names []group) (map[string]announcement, error) {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		return nil, err
	}
	choices := listsOf(file)
	for i := range names {
		for _, c := range names[i].members {
			choices[c.name] = []string{c.value}
		}
	}
	found := map[string]announcement{}
	var errs []error
	ast.Inspect(file, func(node ast.Node) bool {
		call, ok := node.(*ast.CallExpr)
		if !ok || nameOf(call.Fun) != "Eventf" {
			return true
		}
		written, reason, err := announced(call, choices)
		if _, twice := found[reason]; twice && err == nil {
			err = fmt.Errorf("%s is written in two places", reason)
		}
		errs = append(errs, err)
		found[reason] = written
		return true
	})
	return found, errors.Join(errs...)
}

// The arguments of Eventf: object, related object, type, reason, action, message, values.
const (
	objectArgument = iota
	_
	typeArgument
	reasonArgument
	_
	messageArgument
	firstValue
)

var objects = map[string]string{"baselineReference": "ClusterNetworkBaseline", "policyReference": "NetworkPolicy"}

func announced(call *ast.CallExpr, choices map[string][]string) (announcement, string, error) {
	if len(call.Args) <= messageArgument {
		return announcement{}, "", errors.New("an event has too few arguments")
	}
	reason := nameOf(call.Args[reasonArgument])
	written := announcement{kind: strings.TrimPrefix(nameOf(call.Args[typeArgument]), "EventType")}
	if reference, ok := call.Args[objectArgument].(*ast.CallExpr); ok {
		written.object = objects[nameOf(reference.Fun)]
	}
	literal, ok := call.Args[messageArgument].(*ast.BasicLit)
	if !ok || written.object == "" || reason == "" {
		return announcement{}, reason, fmt.Errorf("cannot understand the event %q", reason)
	}
	format, err := strconv.Unquote(literal.Value)
	if err != nil {
		return announcement{}, reason, err
	}
	written.says = []string{format}
	for _, value := range call.Args[firstValue:] {
		written.says = fill(written.says, value, choices)
	}
	return written, reason, nil
}

var verb = regexp.MustCompile(`%[a-z]`)

// fill puts a value into messages: each text that it can be, or its name.
func fill(messages []string, value ast.Expr, choices map[string][]string) (filled []string) {
	texts := choices[nameOf(value)]
	if texts == nil {
		texts = []string{"<" + nameOf(value) + ">"}
	}
	for _, message := range messages {
		at := verb.FindStringIndex(message)
		if at == nil {
			continue
		}
		for _, text := range texts {
			filled = append(filled, message[:at[0]]+text+message[at[1]:])
		}
	}
	return filled
}

// listsOf returns the texts in the file's package-level maps, by the names of these.
func listsOf(file *ast.File) map[string][]string {
	lists := map[string][]string{}
	for _, declaration := range file.Decls {
		block, ok := declaration.(*ast.GenDecl)
		if !ok || block.Tok != token.VAR {
			continue
		}
		for _, spec := range block.Specs {
			variable := spec.(*ast.ValueSpec)
			if len(variable.Values) != 1 {
				continue
			}
			ast.Inspect(variable.Values[0], func(node ast.Node) bool {
				if pair, ok := node.(*ast.KeyValueExpr); ok {
					if literal, ok := pair.Value.(*ast.BasicLit); ok {
						text, _ := strconv.Unquote(literal.Value) // it is a literal
						lists[variable.Names[0].Name] = append(lists[variable.Names[0].Name], text)
					}
				}
				return true
			})
		}
	}
	return lists
}

// nameOf returns the last name in an expression, such as b for a.b, or for a call of it or an item
// in it.
func nameOf(expression ast.Expr) string {
	switch e := expression.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	case *ast.CallExpr:
		return nameOf(e.Fun)
	case *ast.IndexExpr:
		return nameOf(e.X)
	}
	return ""
}
