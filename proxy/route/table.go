package route

// Entry is a rule with what it leads to.
type Entry struct {
	// Name is the qualified name of the router, unique in a table.
	Name string
	Rule *Rule // never nil
	// Priority is what comes first: the higher. Zero stands for Rule.Priority().
	Priority int
	// Rank decides between equal priorities: the lower comes first, then the name.
	Rank int
	// Handler is opaque to the table.
	Handler any
}

// Table finds the entry for a request or, if its rules are of TCP, for a stream. It is immutable and safe for concurrent use.
type Table struct {
	index index
	names *tree[*item]
	count int
}

// NewTable makes a table of entries. Of two with the same name the later counts.
func NewTable(entries []Entry) *Table { return new(Table).Update(nil, entries) }

// Update returns a table without the entries named in remove and with those in put, which replace
// entries of the same name. What did not change is shared with t, which stays as it is: the cost is
// that of the change. A name in both is put; an unknown one in remove is ignored.
func (t *Table) Update(remove []string, put []Entry) *Table {
	u := *t
	e := &edit{}
	for _, name := range remove {
		u.replace(e, name, nil)
	}
	for _, entry := range put {
		i := &item{Entry: entry, priority: entry.Priority}
		if i.priority == 0 {
			i.priority = entry.Rule.Priority()
		}
		u.replace(e, entry.Name, i)
	}
	return &u
}

// replace makes i, or nothing, the item called name.
func (t *Table) replace(e *edit, name string, i *item) {
	if old := get(t.names, name); old != nil {
		t.index.change(e, old, false)
		t.count--
	}
	if i != nil {
		t.index.change(e, i, true)
		t.count++
	}
	t.names = t.names.change(e, name, func(*item) *item { return i })
}

// Len is the number of entries.
func (t *Table) Len() int { return t.count }

// Entry returns the entry called name; nil when there is none. Do not change it.
func (t *Table) Entry(name string) *Entry {
	if i := get(t.names, name); i != nil {
		return &i.Entry
	}
	return nil
}
