package tables

// Table is a table as a copy sees it.
type Table struct {
	Name string
	// Columns are its columns, the key first, by whose bytes rows are ordered. Kinds says what they are, a letter each: b
	// for bytes, t for text, i for integers.
	Columns []string
	Kinds   string
}

// Take returns the values of a row: []byte, string and int64.
func (t Table) Take(r Row) []any {
	out := make([]any, len(t.Kinds))
	for i := range t.Kinds {
		switch t.Kinds[i] {
		case 'b':
			out[i] = Blob(r, i)
		case 't':
			out[i] = string(r.Raw(i))
		default:
			out[i] = r.Int(i)
		}
	}
	return out
}

// Key returns the key of a row that Take has returned.
func Key(row []any) []byte {
	key, _ := row[0].([]byte)
	return key
}

// All returns every table whose rows a store is made of, as both engines have it.
func All() []Table {
	return []Table{
		{"applications", []string{"id", "data"}, "bt"},
		{"api_keys", []string{"id", "data", "used"}, "bti"},
		{"numbers", []string{"key", "data", "touched"}, "bbi"},
		{"limits", []string{"key", "tat"}, "bi"},
		{"replays", []string{"key", "fingerprint", "sealed", "until"}, "bbbi"},
		{"sent", []string{"key", "ref", "delivery", "until"}, "bbbi"},
		{"verifications", []string{"id", "app", "spec", "sealed", "status", "attempts", "expires", "state"}, "bbbbiiib"},
		{"webhooks", []string{"id", "data"}, "bt"},
		{"events", []string{"id", "event", "endpoint", "ref", "kind", "sealed", "state", "due", "claims", "tries", "log"},
			"bbbbtbiiiit"},
		{"jobs", []string{"id", "kind", "due", "attempt", "ref", "payload", "leased"}, "btiibbi"},
	}
}
