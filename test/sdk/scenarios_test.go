package sdk

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestScenarios plays scenarios.yaml through the three SDKs, TypeScript's on Node and on Deno, at the same time,
// against one server.
func TestScenarios(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("scenarios.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Scenarios []scenario `yaml:"scenarios"`
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range file.Scenarios {
		names = append(names, s.Name)
	}
	s := newStage(t)
	told := map[string]*settings{}
	for i, word := range []string{"go", "typescript", "deno", "python"} {
		id, key := s.application(t, word)
		told[word] = &settings{Key: key, Application: id, Secret: secret, Word: word}
		for n := range 100 { // numbers that North America keeps for fiction
			told[word].Numbers = append(told[word].Numbers, fmt.Sprintf("+1%d55501%02d", []int{201, 202, 203, 205}[i], n))
		}
	}
	admin := s.find(t, `dp_live_[a-z0-9]{32}`, "key", "create", "--name", "operator", "--scope", "admin")
	s.serve(t)
	for _, told := range told {
		told.URL = s.door(t).URL
		told.EventSecret = s.subscribe(t, admin, told.Application, told.URL)
	}
	// The runners of the other languages play while Go's does.
	runners := map[string]*exec.Cmd{}
	said := map[string]*bytes.Buffer{}
	for word, args := range map[string][]string{
		"typescript": {"node", "runner.mjs"},
		"deno": {filepath.Join(root, "sdk/typescript/node_modules/.bin/deno"), "run", "-A", "--no-remote", "--quiet",
			"runner.mjs"},
		"python": {python, "runner.py"},
	} {
		said[word] = &bytes.Buffer{}
		how, _ := json.Marshal(told[word])
		cmd := command(t, "", args[0], append(args[1:], "scenarios.yaml", string(how))...)
		cmd.Env = append(cmd.Env, "PYTHONPATH="+filepath.Join(root, "sdk/python/src"))
		cmd.Stdout, cmd.Stderr = said[word], said[word]
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		runners[word] = cmd
	}
	t.Run("go", func(t *testing.T) {
		for _, sc := range file.Scenarios {
			t.Run(sc.Name, func(t *testing.T) {
				if err := told["go"].play(t.Context(), sc); err != nil {
					t.Error(err)
				}
			})
		}
	})
	for word, cmd := range runners {
		t.Run(word, func(t *testing.T) {
			if err := cmd.Wait(); err != nil {
				t.Fatalf("%v\n%s", err, said[word])
			}
			report(t, said[word].String(), names)
		})
	}
}
