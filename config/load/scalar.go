package load

import (
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/pergola-mesh/pergola/config/dynamic"
)

var duration = reflect.TypeFor[dynamic.Duration]()

// scalar reports whether the text fits the type, by the rules that paerser fills by.
func (c *checker) scalar(t *Tree, typ reflect.Type, key string) bool {
	text, bits := t.Text(), 0
	if k := typ.Kind(); k >= reflect.Int && k <= reflect.Float64 {
		bits = typ.Bits()
	}
	var err error
	switch kind := typ.Kind(); {
	case kind == reflect.String:
		return true
	case kind == reflect.Bool:
		_, err = strconv.ParseBool(text)
	case typ == duration || typ == reflect.TypeFor[time.Duration]():
		if seconds, notInt := strconv.ParseInt(text, 10, 64); notInt == nil {
			if typ == duration && (seconds > maxSeconds || seconds < -maxSeconds) {
				c.problem(t, key, "%s seconds is too long", text)
				return false
			}
			return true
		}
		_, err = time.ParseDuration(text)
	case kind >= reflect.Int && kind <= reflect.Int64:
		_, err = strconv.ParseInt(text, 10, bits)
	case kind >= reflect.Uint && kind <= reflect.Uint64:
		_, err = strconv.ParseUint(text, 10, bits)
	case kind == reflect.Float32 || kind == reflect.Float64:
		_, err = strconv.ParseFloat(text, bits)
	default:
		panic("load: configuration of type " + typ.String() + " cannot be decoded")
	}
	if err != nil {
		c.problem(t, key, "must be %s, not %s", wanted(typ), describe(t))
	}
	return err == nil
}

const maxSeconds = int64(1<<63-1) / int64(time.Second)

// wanted names what a scalar type holds.
func wanted(typ reflect.Type) string {
	switch kind := typ.Kind(); {
	case typ == duration:
		return "a duration such as 10s or 500ms"
	case kind == reflect.Bool:
		return "true or false"
	case kind >= reflect.Int && kind <= reflect.Int64:
		return "a whole number"
	case kind >= reflect.Uint && kind <= reflect.Uint64:
		return "a whole number of 0 or more"
	case kind == reflect.Float32 || kind == reflect.Float64:
		return "a number"
	default:
		return "a text"
	}
}

func isBool(s string) bool { return strings.EqualFold(s, "true") || strings.EqualFold(s, "false") }
