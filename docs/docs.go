// Package docs holds the documentation, so that the program can serve it. internal/docs makes pages of it.
package docs

import "embed"

// Files are the pages in Markdown and their pictures.
//
//go:embed *.md */*.md *.png */*.svg
var Files embed.FS
