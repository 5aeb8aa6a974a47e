package static

import (
	"cmp"
	"os"
	"slices"
	"strings"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/pergola-mesh/pergola/config/load"
)

// Loaded is the effective static configuration and where it came from.
type Loaded struct {
	// Config is the effective configuration. It must not be used while there are Problems.
	Config *Configuration
	// File is the configuration file that was read, or empty.
	File string
	// Problems is everything that is wrong, at once, in the order of the places.
	Problems []dynamic.Problem
	// Warnings are what is accepted and has no effect, in the same order.
	Warnings []dynamic.Problem

	places map[string]load.Place // by lower-case path
	beside []*load.Tree          // dynamic configuration in the file
}

// Load reads the configuration of a process from args (without the program's name; flags only) and
// environ ("NAME=value"). In rising precedence: the file, TRAEFIK_… variables, PERGOLA_… variables,
// flags. The file is the one that the flag configFile or the variable PERGOLA_CONFIGFILE names, or
// else the first that exists of [SearchPath].
func Load(args, environ []string) *Loaded {
	l := &Loaded{Config: &Configuration{}, places: map[string]load.Place{}}
	flags := l.flags(args)
	vars := load.Merge(l.environment("TRAEFIK_", environ), l.environment("PERGOLA_", environ))
	upper := load.Merge(vars, flags)
	tree := load.Merge(l.file(upper, environ), without(upper, configFile))
	if tree != nil {
		l.places = tree.Places()
		var missing []dynamic.Problem
		tree, missing = load.TakeUnbuilt(unbuilt, tree)
		l.Problems = append(l.Problems, missing...)
	}
	if tree == nil {
		tree = &load.Tree{Kind: load.Map}
	}
	l.Problems = append(l.Problems, load.DecodeTree(tree, l.Config)...)

	l.complete()
	l.validate()
	l.vain()
	l.shareFile()
	slices.SortStableFunc(l.Problems, byPlace)
	slices.SortStableFunc(l.Warnings, byPlace)
	return l
}

// Origin tells where the value of a key was stated; the zero Place stands for a default.
func (l *Loaded) Origin(key string) load.Place { return l.places[strings.ToLower(key)] }

// configFile is the one key that the file itself cannot hold.
const configFile = "configFile"

// file reads the configuration file; the tree is nil when there is none.
func (l *Loaded) file(upper *load.Tree, environ []string) *load.Tree {
	place := load.Place{}
	if upper != nil {
		if stated := upper.Child(configFile); stated != nil {
			l.File, place = stated.Text(), stated.Place
		}
	}
	if l.File == "" {
		l.File = firstExisting(SearchPath(environ))
	}
	if l.File == "" {
		return nil
	}
	fail := func(line int, source, message string) *load.Tree {
		l.Problems = append(l.Problems, dynamic.Problem{Source: source, Line: line, Message: message})
		return nil
	}
	format, ok := load.FormatOf(l.File)
	if !ok || format == load.JSON {
		return fail(place.Line, cmp.Or(place.Source, l.File), "the configuration file "+l.File+" must end in .toml, .yaml or .yml")
	}
	content, err := os.ReadFile(l.File)
	if err != nil {
		return fail(place.Line, cmp.Or(place.Source, l.File), "read the configuration file: "+err.Error())
	}
	tree, err := load.Parse(l.File, content, format)
	if err != nil {
		syntax := err.(*load.SyntaxError)
		return fail(syntax.Line, l.File, syntax.Message)
	}
	return l.takeDynamic(tree)
}

func without(t *load.Tree, name string) *load.Tree {
	if t == nil {
		return nil
	}
	kept := *t
	kept.Children = slices.DeleteFunc(slices.Clone(t.Children), func(c *load.Tree) bool { return strings.EqualFold(c.Name, name) })
	return &kept
}
