package config

import (
	"go.yaml.in/yaml/v3"
)

// decode puts what stands in the file into c.
func decode(root *yaml.Node, c *Config, path string, env func(string) (string, bool)) Problems {
	if err := root.Decode(c); err != nil {
		return Problems{yamlProblem("", err)}
	}
	return nil
}
