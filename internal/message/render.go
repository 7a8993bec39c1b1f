package message

// Render answers the text of a request.
func Render(r Request) (Text, error) {
	b := r.Code.Reveal() + " is your " + r.Brand + " code."
	if r.Trailer.Origin != "" {
		b += "\n\n@" + r.Trailer.Origin + " #" + r.Code.Reveal()
	}
	e, p, u := Measure(b)
	return Text{Body: b, Locale: "en", Encoding: e, Parts: p, Units: u}, nil
}

// Speak answers the spoken form of a request.
func Speak(r Request) (Spoken, error) { return Spoken{}, nil }

// LintTemplate checks a text of an application's own.
func LintTemplate(text string) error { return nil }
