package api

// Most bodies are one object of a few short strings. Those are read without reflection; everything else, and all that
// is wrong, is the strict decoder's. A test holds the two together.

// plainBody is a body that may be that simple. set takes a member; false for one that it does not know or has had.
type plainBody interface {
	set(name, value []byte) bool
}

// setText sets a member that has not been set, to what can be told from that.
func setText[T ~string](field *T, v []byte) bool {
	if *field != "" || len(v) == 0 {
		return false
	}
	*field = T(v)
	return true
}

// setGiven is setText for a member that tells whether it was given.
func setGiven(field **string, v []byte) bool {
	if *field != nil {
		return false
	}
	text := string(v)
	*field = &text
	return true
}

// plain reads a body into v. It answers false for what the strict decoder must look at; then v may be half filled.
func plain(body []byte, v plainBody) bool {
	s := plainScanner{body}
	if !s.take('{') {
		return false
	}
	for {
		name, ok := s.text()
		if !ok || !s.take(':') {
			return false
		}
		value, ok := s.text()
		if !ok || !v.set(name, value) {
			return false
		}
		if !s.take(',') {
			return s.take('}') && s.atEnd()
		}
	}
}

// plainScanner reads the little of JSON that plain knows.
type plainScanner struct{ rest []byte }

func (s *plainScanner) atEnd() bool {
	for len(s.rest) > 0 && (s.rest[0] == ' ' || s.rest[0] == '\n' || s.rest[0] == '\r' || s.rest[0] == '\t') {
		s.rest = s.rest[1:]
	}
	return len(s.rest) == 0
}

func (s *plainScanner) take(c byte) bool {
	if s.atEnd() || s.rest[0] != c {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

// text takes a string of printable ASCII without escapes.
func (s *plainScanner) text() (text []byte, ok bool) {
	if !s.take('"') {
		return nil, false
	}
	for i, c := range s.rest {
		switch {
		case c == '"':
			text, s.rest = s.rest[:i], s.rest[i+1:]
			return text, true
		case c < ' ' || c > '~' || c == '\\':
			return nil, false
		}
	}
	return nil, false
}
