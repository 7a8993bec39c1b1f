package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/alecthomas/kong"
)

// version is set by the linker for releases (-X main.version=…); it cannot be anything but a package variable.
var version string

// cli is the command line.
type cli struct {
	Serve      serveCmd      `cmd:"" help:"Run the server with a configuration file."`
	Dev        devCmd        `cmd:"" help:"Run everything on this machine, with a phone in the browser. No account needed."`
	Send       sendCmd       `cmd:"" help:"Start a verification on a running server."`
	Check      checkCmd      `cmd:"" help:"Check a code on a running server."`
	Link       linkCmd       `cmd:"" help:"Make a link to the hosted page of a running server."`
	App        appCmd        `cmd:"" help:"Make and list applications (tenants)."`
	Key        keyCmd        `cmd:"" help:"Make, list and revoke API keys."`
	Webhook    webhookCmd    `cmd:"" help:"Tell applications what happens to their verifications."`
	Migrate    migrateCmd    `cmd:"" help:"Bring the database to this version's schema."`
	Store      storeCmd      `cmd:"" help:"Back up, restore or move what is kept."`
	Doctor     doctorCmd     `cmd:"" help:"Check the configuration, the store and the routes, without sending."`
	Bench      benchCmd      `cmd:"" help:"Measure what a verification costs on this machine."`
	BenchFloor benchFloorCmd `cmd:"" hidden:"" help:"Serve the floor that bench measures beside."`
	Route      routeCmd      `cmd:"" help:"Try a route: send one message over it."`
	Version    versionCmd    `cmd:"" help:"Print the version."`
	Completion completionCmd `cmd:"" help:"Print a completion script for your shell."`
}

// Help is the text under the list of commands.
func (cli) Help() string {
	return `To begin:
  dialproof dev                             # prints the address, a key and the handset's page
  dialproof send --to +447700900123         # in another window; prints an id
  dialproof check vrf_... 123456            # with the code that the handset shows

Exit codes: 0 done, 1 failed, 2 wrong flags or configuration, 3 the code was not accepted.`
}

type versionCmd struct{}

// Help has the examples.
func (versionCmd) Help() string {
	return `Example:
  dialproof version`
}

// Run prints the version.
func (versionCmd) Run(w world) error {
	fmt.Fprintf(w.Out, "dialproof %s (%s %s/%s)\n", currentVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return nil
}

// currentVersion returns what the linker said, else what the Go tool knows of the build.
func currentVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(unknown)"
}

type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help has the examples.
func (completionCmd) Help() string {
	return `Examples:
  source <(dialproof completion bash)
  dialproof completion bash > /etc/bash_completion.d/dialproof
  dialproof completion zsh > "${fpath[1]}/_dialproof"
  dialproof completion fish > ~/.config/fish/completions/dialproof.fish`
}

// Run prints the script.
func (c completionCmd) Run(w world, parser *kong.Kong) error {
	_, err := fmt.Fprint(w.Out, completion(c.Shell, commands(parser.Model.Node, "")))
	return err
}
