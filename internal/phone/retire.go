package phone

// Retire stands for newer metadata in a test: from now on no number of a calling code is in a range that is in use, so
// that Parse refuses them all and FromE164 only reads them. restore takes it back. Nobody may parse numbers of the
// calling code while either runs, and a program that is no test never calls it.
func Retire(callingCode int) (restore func()) {
	t := plans()
	old := t[callingCode]
	empty := &plan{call: uint16(callingCode), numbers: &automaton{next: make([]uint16, 2*10), mark: make([]uint16, 2)}}
	nothing := newPlanBuilder(callingCode).verdict(func(criterion) bool { return false })
	for range lengths {
		empty.verdicts = append(empty.verdicts, nothing)
	}
	empty.once.Do(func() {}) // there is nothing to compile
	t[callingCode] = empty
	return func() { t[callingCode] = old }
}
