package channel

// As returns the optional power T of a sender, through any wrappers around it. A wrapper has a method
// Unwrap() Sender.
func As[T any](s Sender) (power T, ok bool) {
	for s != nil {
		if power, ok = s.(T); ok {
			return power, true
		}
		w, wraps := s.(interface{ Unwrap() Sender })
		if !wraps {
			break
		}
		s = w.Unwrap()
	}
	return power, false
}
