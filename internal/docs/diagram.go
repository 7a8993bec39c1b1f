package docs

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// diagramName returns the file of the picture of a Mermaid text. The text is in the name, so that a picture of an older
// text is not shown. scripts/diagrams.sh names them so too.
func diagramName(code string) string {
	sum := sha256.Sum256([]byte(strings.TrimSpace(code)))
	return hex.EncodeToString(sum[:6]) + ".svg"
}
