package main

// wire answers the real thing.
func wire() wiring { return wiring{} }
