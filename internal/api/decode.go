package api

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// read answers the body of a request, at most maxBody long.
func read(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if 0 < r.ContentLength && r.ContentLength <= maxBody { // net/http hands out no more than was announced
		body := make([]byte, r.ContentLength)
		if _, err := io.ReadFull(r.Body, body); err != nil {
			return nil, newProblem("bad_request", "the body ended early or came too slowly")
		}
		return body, nil
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return nil, newProblem("body_too_large", "a body may have at most 64 KiB")
	}
	if err != nil {
		return nil, newProblem("bad_request", "the body ended early or came too slowly")
	}
	return body, nil
}

// isJSON reports whether a Content-Type is that of JSON.
func isJSON(contentType string) bool {
	if contentType == "application/json" {
		return true
	}
	kind, _, err := mime.ParseMediaType(contentType)
	return err == nil && kind == "application/json"
}

// decode reads the body into v, strictly: what v does not know is refused with its path. An empty body is an empty
// object where optional.
func decode[T any](w http.ResponseWriter, r *http.Request, v *T, optional bool) (body []byte, err error) {
	if c := callOf(r); c.held {
		body = c.body
	} else if body, err = read(w, r); err != nil {
		return nil, err
	}
	if len(body) == 0 && optional {
		return body, nil
	}
	if !isJSON(r.Header.Get("Content-Type")) {
		return nil,
			newProblem("unsupported_media_type", "send the body as JSON, with the header Content-Type: application/json")
	}
	if err := json.Unmarshal(body, v, json.RejectUnknownMembers(true), json.MatchCaseInsensitiveNames(false)); err != nil {
		return nil, bodyProblem(err)
	}
	// null is an object that says nothing, which no request of ours is.
	if string(bytes.TrimSpace(body)) == "null" {
		return nil,
			newProblem("invalid_request", "the body must be an object", fieldFault{"", "invalid_type", "must be an object"})
	}
	return body, nil
}

// bodyProblem returns what is wrong with a body, without repeating any value of it.
func bodyProblem(err error) *problem {
	if errors.Is(err, jsontext.ErrDuplicateName) {
		return newProblem("malformed_json", "a name stands twice in one object")
	}
	if _, ok := errors.AsType[*jsontext.SyntacticError](err); ok || errors.Is(err, io.EOF) ||
		errors.Is(err, io.ErrUnexpectedEOF) {
		return newProblem("malformed_json", "the body is not one whole JSON value in UTF-8")
	}
	e, ok := errors.AsType[*json.SemanticError](err)
	if !ok {
		return newProblem("malformed_json", "the body is not one whole JSON value in UTF-8")
	}
	path := pointerPath(string(e.JSONPointer))
	if errors.Is(err, json.ErrUnknownName) {
		return newProblem("invalid_request", "the request has an unknown field",
			fieldFault{path, "unknown_field", "is not a field of this request"})
	}
	return newProblem("invalid_request", "the request has one invalid field",
		fieldFault{path, "invalid_type", "has the wrong type"})
}

// missing returns the problem of a required field that is not there.
func missing(field string) *problem {
	return newProblem("invalid_request", "the request has one invalid field",
		fieldFault{field, "required", "must be given"})
}

// wrong returns the problem of one field.
func wrong(field, code, detail string) *problem {
	return newProblem("invalid_request", "the request has one invalid field", fieldFault{field, code, detail})
}
