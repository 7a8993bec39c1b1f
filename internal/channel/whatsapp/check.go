package whatsapp

import (
	"context"
	"net/http"
	"net/url"
	"slices"

	"github.com/dialproof/dialproof/internal/channel/rest"
)

// Check implements channel.Checker: it asks for the sending number, and for the templates when the account is named.
func (s *sender) Check(ctx context.Context) error {
	if err := s.api.Check(ctx, "/"+s.cfg.PhoneNumberID+"?fields=verified_name", s.refused); err != nil {
		return err
	}
	if s.cfg.AccountID == "" {
		return nil
	}
	names := []string{s.cfg.Template}
	for _, t := range s.cfg.Templates {
		if !slices.Contains(names, t) {
			names = append(names, t)
		}
	}
	slices.Sort(names)
	approved := map[[2]string]bool{}
	for _, n := range names {
		if err := s.templates(ctx, n, approved); err != nil {
			return err
		}
	}
	for _, l := range s.cfg.Languages {
		if t := s.cfg.template(l); !approved[[2]string{t, l}] {
			return rest.Refused(name, "template", "the template "+t+" is not an approved authentication template in "+l)
		}
	}
	return nil
}

// templates gathers the approved authentication templates of a name, by name and language.
func (s *sender) templates(ctx context.Context, of string, approved map[[2]string]bool) error {
	a, err := s.api.JSON(ctx, http.MethodGet, "/"+s.cfg.AccountID+"/message_templates?name="+url.QueryEscape(of), nil)
	if err != nil {
		return err
	}
	if a.Status != http.StatusOK {
		return s.refused(a)
	}
	var said struct {
		Data []struct {
			Name     string `json:"name"`
			Language string `json:"language"`
			Status   string `json:"status"`
			Category string `json:"category"`
		} `json:"data"`
	}
	if a.JSON(&said) != nil {
		return rest.Refused(name, "answer", "the list of templates cannot be understood")
	}
	for _, t := range said.Data { // Meta also answers names that only contain the one asked for
		if t.Status == "APPROVED" && t.Category == "AUTHENTICATION" {
			approved[[2]string{t.Name, t.Language}] = true
		}
	}
	return nil
}
