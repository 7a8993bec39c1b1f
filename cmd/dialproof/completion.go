package main

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// command is what a shell may complete after one command.
type command struct {
	// path is the command as typed, with a space before each word; empty for dialproof itself.
	path string
	subs []word
	// flags and their values, where those are known; files says which flags take a file.
	flags []word
	enums map[string][]string
	files map[string]bool
	args  []string
}

type word struct{ text, help string }

// commands returns node and all below it.
func commands(node *kong.Node, path string) []command {
	c := command{path: path, enums: map[string][]string{}, files: map[string]bool{}}
	for _, group := range node.AllFlags(true) {
		for _, f := range group {
			name := "--" + f.Name
			c.flags = append(c.flags, word{name, f.Help})
			if f.Enum != "" {
				c.enums[name] = strings.Split(f.Enum, ",")
			}
			if f.Tag.Type == "path" {
				c.files[name] = true
			}
		}
	}
	for _, p := range node.Positional {
		if p.Enum != "" {
			c.args = append(c.args, strings.Split(p.Enum, ",")...)
		}
	}
	all := []command{c}
	for _, child := range node.Children {
		if child.Type == kong.CommandNode && !child.Hidden {
			all[0].subs = append(all[0].subs, word{child.Name, child.Help})
			all = append(all, commands(child, path+" "+child.Name)...)
		}
	}
	return all
}

// completion returns the script for a shell.
func completion(shell string, all []command) string {
	switch shell {
	case "zsh":
		return zsh(all)
	case "fish":
		return fish(all)
	default:
		return bash(all)
	}
}

// The scripts first find the command that has been typed so far, skipping flags and their values, and then offer
// what that command knows.

func bash(all []command) string {
	var b strings.Builder
	b.WriteString("# bash completion for dialproof\n_dialproof() {\n")
	b.WriteString("  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} path='' w words=''\n")
	b.WriteString("  for w in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n    case \"$path $w\" in\n")
	fmt.Fprintf(&b, "      %s) path=\"$path $w\" ;;\n    esac\n  done\n", paths(all))
	b.WriteString("  case \"$path $prev\" in\n")
	for _, c := range all {
		for _, f := range c.flags {
			if values, ok := c.enums[f.text]; ok {
				fmt.Fprintf(&b, "    '%s %s') COMPREPLY=($(compgen -W '%s' -- \"$cur\")); return ;;\n", c.path, f.text,
					strings.Join(values, " "))
			} else if c.files[f.text] {
				fmt.Fprintf(&b, "    '%s %s') COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n", c.path, f.text)
			}
		}
	}
	b.WriteString("  esac\n  case \"$path\" in\n")
	for _, c := range all {
		fmt.Fprintf(&b, "    '%s') words='%s' ;;\n", c.path, strings.Join(c.words(), " "))
	}
	b.WriteString("  esac\n  COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n}\ncomplete -F _dialproof dialproof\n")
	return b.String()
}

func zsh(all []command) string {
	var b strings.Builder
	b.WriteString("#compdef dialproof\n# zsh completion for dialproof\n_dialproof() {\n")
	b.WriteString("  local at='' w prev=$words[CURRENT-1]\n  local -a offers\n")
	b.WriteString("  for w in ${words[2,CURRENT-1]}; do\n    case \"$at $w\" in\n")
	fmt.Fprintf(&b, "      (%s) at=\"$at $w\" ;;\n    esac\n  done\n", paths(all))
	b.WriteString("  case \"$at $prev\" in\n")
	for _, c := range all {
		for _, f := range c.flags {
			if values, ok := c.enums[f.text]; ok {
				fmt.Fprintf(&b, "    ('%s %s') compadd -- %s; return ;;\n", c.path, f.text, strings.Join(values, " "))
			} else if c.files[f.text] {
				fmt.Fprintf(&b, "    ('%s %s') _files; return ;;\n", c.path, f.text)
			}
		}
	}
	b.WriteString("  esac\n  case \"$at\" in\n")
	for _, c := range all {
		fmt.Fprintf(&b, "    ('%s') offers=(", c.path)
		for _, o := range c.offers() {
			fmt.Fprintf(&b, "\n      %s", quote(strings.ReplaceAll(o.text, ":", `\:`)+":"+o.help))
		}
		b.WriteString("\n    ) ;;\n")
	}
	b.WriteString("  esac\n  _describe dialproof offers\n}\n")
	// Sourced, the file must register itself; found in $fpath, zsh calls it as the function.
	b.WriteString(
		"if [[ \"$funcstack[1]\" = _dialproof ]]; then _dialproof \"$@\"; else compdef _dialproof dialproof; fi\n",
	)
	return b.String()
}

func fish(all []command) string {
	var b strings.Builder
	b.WriteString("# fish completion for dialproof\nfunction __dialproof_at\n  set -l at ''\n")
	b.WriteString("  for w in (commandline -opc)[2..-1]\n    switch \"$at $w\"\n")
	fmt.Fprintf(&b, "      case %s\n        set at \"$at $w\"\n    end\n  end\n", strings.ReplaceAll(paths(all), "|", " "))
	b.WriteString("  test \"$at\" = \"$argv[1]\"\nend\ncomplete -c dialproof -f\n")
	for _, c := range all {
		for _, s := range c.subs {
			fmt.Fprintf(&b, "complete -c dialproof -n \"__dialproof_at '%s'\" -a %s -d %s\n", c.path, s.text, quote(s.help))
		}
		for _, a := range c.args {
			fmt.Fprintf(&b, "complete -c dialproof -n \"__dialproof_at '%s'\" -a %s\n", c.path, a)
		}
		for _, f := range c.flags {
			fmt.Fprintf(&b, "complete -c dialproof -n \"__dialproof_at '%s'\" -l %s -d %s", c.path,
				strings.TrimPrefix(f.text, "--"), quote(f.help))
			if values, ok := c.enums[f.text]; ok {
				fmt.Fprintf(&b, " -xa '%s'", strings.Join(values, " "))
			} else if c.files[f.text] {
				b.WriteString(" -rF")
			}
			b.WriteString("\n")
		}
	}
	return b.String()
}

// paths returns all commands as a shell's pattern: ' serve'|' key'|' key create'.
func paths(all []command) string {
	var out []string
	for _, c := range all[1:] {
		out = append(out, "'"+c.path+"'")
	}
	return strings.Join(out, "|")
}

// offers returns what may follow: subcommands and values first.
func (c command) offers() []word {
	out := append([]word{}, c.subs...)
	for _, a := range c.args {
		out = append(out, word{text: a})
	}
	return append(out, c.flags...)
}

func (c command) words() []string {
	var out []string
	for _, o := range c.offers() {
		out = append(out, o.text)
	}
	return out
}

// quote makes text one word of any of the three shells.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
