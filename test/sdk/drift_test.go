package sdk

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestGeneratedTypes makes the types of all SDKs again and compares: what is committed is what the contract says.
func TestGeneratedTypes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if out, err := command(t, root, "sdk/generate.sh", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v (scripts/setup-test.sh brings the generators)\n%s", err, out)
	}
	for _, name := range []string{"client/types.gen.go", "sdk/typescript/src/contract.gen.ts",
		"sdk/python/src/dialproof/models.py"} {
		made, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		kept, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		if len(made) < 1000 || !bytes.Equal(made, kept) {
			t.Errorf("%s is not what api/openapi.yaml says: run `make generate`", name)
		}
	}
}

// TestUnits runs the tests that the SDKs have in their own languages, and holds the Python types.
func TestUnits(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"typescript": {"sdk/typescript", "node", "--test", "test/"},
		"python":     {"sdk/python", python, "-m", "unittest", "discover", "-q", "-s", "tests"},
		"deno": {"sdk/typescript", "node_modules/.bin/deno", "check", "--quiet", "src/index.ts", "src/browser.ts",
			"src/testing.ts"},
		"mypy": {"sdk/python", python, "-m", "mypy", "--cache-dir", t.TempDir(), "src",
			filepath.Join(root, "test/sdk/consumer.py")},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := command(t, filepath.Join(root, args[0]), args[1], args[2:]...)
			cmd.Env = append(cmd.Env, "PYTHONPATH=src")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
