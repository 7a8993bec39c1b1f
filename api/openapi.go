// Package api holds the contract of the HTTP API. The server serves it, the tests hold every answer against it, and
// the SDKs follow it.
package api

import _ "embed"

// OpenAPI is the contract, OpenAPI 3.1 in YAML.
//
//go:embed openapi.yaml
var OpenAPI []byte
