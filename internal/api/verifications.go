package api

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/message"
	"github.com/dialproof/dialproof/internal/proof"
	"github.com/dialproof/dialproof/internal/verify"
)

// startBody is the body of a start. The bounds of its fields are the core's.
type startBody struct {
	To           *string           `json:"to"`
	Region       string            `json:"region"`
	Email        string            `json:"email"`
	Channel      channel.Kind      `json:"channel"`
	Purpose      string            `json:"purpose"`
	Locale       string            `json:"locale"`
	CodeLength   *int              `json:"code_length"`
	CodeAlphabet string            `json:"code_alphabet"`
	Code         string            `json:"code"`
	ExpiresIn    *int              `json:"expires_in"`
	MaxAttempts  *int              `json:"max_attempts"`
	Transaction  *transaction      `json:"transaction"`
	Autofill     *autofill         `json:"autofill"`
	Client       *client           `json:"client"`
	Metadata     map[string]string `json:"metadata"`
}

type transaction struct {
	Amount   string `json:"amount"`
	Currency string `json:"currency"`
	Payee    string `json:"payee"`
}

func (t *transaction) core() *message.Transaction {
	if t == nil {
		return nil
	}
	return &message.Transaction{Amount: t.Amount, Currency: t.Currency, Payee: t.Payee}
}

type autofill struct {
	Origin  string `json:"origin"`
	AppHash string `json:"app_hash"`
}

type client struct {
	IP        string `json:"ip"`
	UserAgent string `json:"user_agent"`
	DeviceID  string `json:"device_id"`
}

// given returns the value of a number that may be left out. A zero that was sent is no default: it becomes a value
// that the core refuses as out of range.
func given(v *int) int {
	if v == nil {
		return 0
	}
	if *v == 0 {
		return -1
	}
	return *v
}

func (b *startBody) core() (verify.StartRequest, error) {
	if b.To == nil {
		return verify.StartRequest{}, missing("to")
	}
	r := verify.StartRequest{
		To:          *b.To,
		Region:      b.Region,
		Email:       b.Email,
		Channel:     b.Channel,
		Purpose:     b.Purpose,
		Locale:      b.Locale,
		CodeLength:  given(b.CodeLength),
		Alphabet:    b.CodeAlphabet,
		Code:        message.NewCode(b.Code),
		ExpiresIn:   given(b.ExpiresIn),
		MaxAttempts: given(b.MaxAttempts),
		Transaction: b.Transaction.core(),
		Metadata:    b.Metadata,
	}
	if b.Autofill != nil {
		r.Autofill = message.Trailer{Origin: b.Autofill.Origin, AppHash: b.Autofill.AppHash}
	}
	if b.Client != nil {
		r.Client = &verify.Client{IP: b.Client.IP, UserAgent: b.Client.UserAgent, DeviceID: b.Client.DeviceID}
	}
	return r, nil
}

func (a *api) start(w http.ResponseWriter, r *http.Request) error {
	var in startBody
	body, err := decode(w, r, &in, false)
	if err != nil {
		return err
	}
	request, err := in.core()
	if err != nil {
		return err
	}
	if request.Replay, err = a.enter(r, body); err != nil {
		return err
	}
	defer a.leave(request.Replay)
	a.renders(request.Replay)
	v, err := a.Core.Start(r.Context(), callOf(r).caller, request)
	return a.answerVerification(w, http.StatusCreated, v, err)
}

// renders says that the repetition of a request is answered with a verification.
func (a *api) renders(r *verify.Replay) {
	if r != nil {
		r.Render = func(answer verify.CheckAnswer) []byte { return a.render(answer.Verification) }
	}
}

// render makes the bytes of an answer.
func (a *api) render(v *verify.Verification) []byte {
	return encode(a.verification(v))
}

// answerVerification answers what has become of a request that ends in a verification.
func (a *api) answerVerification(w http.ResponseWriter, status int, v *verify.Verification, err error) error {
	if err != nil {
		return replayed(w, status, err)
	}
	send(w, status, a.render(v))
	return nil
}

// checkBody is the body of both checks.
type checkBody struct {
	Code        *string      `json:"code"`
	Transaction *transaction `json:"transaction"`
	Proof       *proof.Form  `json:"proof"`
}

type numberCheckBody struct {
	To          *string      `json:"to"`
	Region      string       `json:"region"`
	Purpose     string       `json:"purpose"`
	Code        *string      `json:"code"`
	Transaction *transaction `json:"transaction"`
	Proof       *proof.Form  `json:"proof"`
}

func (a *api) check(w http.ResponseWriter, r *http.Request) error {
	var in checkBody
	body, err := decode(w, r, &in, false)
	if err != nil {
		return err
	}
	v, err := pathID(r, id.Verification)
	if err != nil {
		return err
	}
	if in.Code == nil {
		return missing("code")
	}
	return a.judge(w, r, body, in.Proof, verify.CheckRequest{ID: v, Code: *in.Code, Transaction: in.Transaction.core()})
}

func (a *api) checkByNumber(w http.ResponseWriter, r *http.Request) error {
	var in numberCheckBody
	body, err := decode(w, r, &in, false)
	if err != nil {
		return err
	}
	switch {
	case in.To == nil:
		return missing("to")
	case in.Code == nil:
		return missing("code")
	}
	return a.judge(w, r, body, in.Proof, verify.CheckRequest{
		To:          *in.To,
		Region:      in.Region,
		Purpose:     in.Purpose,
		Code:        *in.Code,
		Transaction: in.Transaction.core(),
	})
}

// judge checks a code; form says whether and how an approval is to be proven.
func (a *api) judge(w http.ResponseWriter, r *http.Request, body []byte, form *proof.Form,
	request verify.CheckRequest) error {
	var f proof.Form
	if form != nil {
		if f = *form; !f.Valid() {
			return wrong("proof", "invalid_value", "must be hash or number")
		}
	}
	caller := callOf(r).caller
	replay, err := a.enter(r, body)
	if err != nil {
		return err
	}
	defer a.leave(replay)
	if replay != nil {
		replay.Render = func(answer verify.CheckAnswer) []byte {
			view, _ := a.checked(caller, answer, f) // the keys are there: the ring was made with them
			return encode(view)
		}
	}
	request.Replay = replay
	answer, err := a.Core.Check(r.Context(), caller, request)
	if err != nil {
		return replayed(w, http.StatusOK, err)
	}
	view, err := a.checked(caller, answer, f)
	if err != nil {
		return err
	}
	send(w, http.StatusOK, encode(view))
	return nil
}

func (a *api) resend(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Channel channel.Kind `json:"channel"`
	}
	body, err := decode(w, r, &in, true)
	if err != nil {
		return err
	}
	v, err := pathID(r, id.Verification)
	if err != nil {
		return err
	}
	replay, err := a.enter(r, body)
	if err != nil {
		return err
	}
	defer a.leave(replay)
	a.renders(replay)
	made, err := a.Core.Resend(r.Context(), callOf(r).caller,
		verify.ResendRequest{ID: v, Channel: in.Channel, Replay: replay})
	return a.answerVerification(w, http.StatusOK, made, err)
}

func (a *api) cancel(w http.ResponseWriter, r *http.Request) error {
	body, err := decode(w, r, &struct{}{}, true)
	if err != nil {
		return err
	}
	v, err := pathID(r, id.Verification)
	if err != nil {
		return err
	}
	replay, err := a.enter(r, body)
	if err != nil {
		return err
	}
	defer a.leave(replay)
	a.renders(replay)
	made, err := a.Core.Cancel(r.Context(), callOf(r).caller, v, replay)
	return a.answerVerification(w, http.StatusOK, made, err)
}

func (a *api) get(w http.ResponseWriter, r *http.Request) error {
	vid, err := pathID(r, id.Verification)
	if err != nil {
		return err
	}
	v, err := a.Core.Get(r.Context(), callOf(r).caller, vid)
	return a.answerVerification(w, http.StatusOK, v, err)
}

// pathID returns the id in the path. One that is malformed names nothing: it is not told apart from one that does
// not exist.
func pathID(r *http.Request, p id.Prefix) (id.ID, error) {
	v, err := id.Parse(p, r.PathValue("id"))
	if err != nil || v.IsZero() {
		return v, newProblem("not_found", "there is nothing of that id here")
	}
	return v, nil
}

// defaultPage is how many verifications a page has when nothing is said.
const defaultPage = 20

func (a *api) list(w http.ResponseWriter, r *http.Request) error {
	f, err := filter(r)
	if err != nil {
		return err
	}
	page, err := a.Core.List(r.Context(), callOf(r).caller, f)
	if err != nil {
		return err
	}
	out := struct {
		Data []verificationView `json:"data"`
		Next *string            `json:"next_cursor"`
	}{Data: make([]verificationView, 0, len(page.Items))}
	for _, v := range page.Items {
		out.Data = append(out.Data, a.verification(v))
	}
	if !page.Next.IsZero() {
		next := base64.RawURLEncoding.EncodeToString(page.Next[:])
		out.Next = &next
	}
	return answer(w, http.StatusOK, out)
}

// filter reads the query of a list.
func filter(r *http.Request) (f verify.Filter, err error) {
	f.Limit = defaultPage
	for name, values := range r.URL.Query() {
		v := values[0]
		switch name {
		case "to":
			f.To = v
		case "region":
			f.Region = v
		case "purpose":
			f.Purpose = v
		case "status":
			if f.Status = verify.Status(v); !known(f.Status) {
				return f, wrong(name, "invalid_value", "is not a status")
			}
		case "limit":
			if f.Limit, err = strconv.Atoi(v); err != nil || f.Limit < 1 {
				return f, wrong(name, "out_of_range", "must be 1 to 100")
			}
		case "cursor":
			raw, err := base64.RawURLEncoding.DecodeString(v)
			if err != nil || len(raw) != len(f.Cursor) {
				return f, wrong(name, "invalid_value", "is not a cursor of ours")
			}
			copy(f.Cursor[:], raw)
		case "created_after":
			if f.After, err = time.Parse(time.RFC3339, v); err != nil {
				return f, wrong(name, "invalid_value", "must be a time like 2026-11-23T08:00:00Z")
			}
		case "created_before":
			if f.Before, err = time.Parse(time.RFC3339, v); err != nil {
				return f, wrong(name, "invalid_value", "must be a time like 2026-11-23T08:00:00Z")
			}
		default:
			return f, wrong(pointerPath(name), "unknown_field", "is not a parameter of this request")
		}
		if len(values) > 1 {
			return f, wrong(name, "invalid_value", "is given twice")
		}
	}
	return f, nil
}

func known(s verify.Status) bool { return slices.Contains(verify.Statuses(), s) }
