package aws

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/channel/channeltest"
	"github.com/dialproof/dialproof/internal/secret"
)

const (
	exampleKey    = "AKIDEXAMPLE"
	exampleSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
	exampleToken  = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/" +
		"qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+" +
		"scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="
)

// TestSign: the vectors of AWS's own Signature Version 4 test suite, and two requests of ours as botocore 1.43.11 signs
// them.
func TestSign(t *testing.T) {
	t.Parallel()
	suite := time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC)
	feedback := `{"MessageId":"862a8790-60c0-4430-9b2b-658bdexample","MessageFeedbackStatus":"RECEIVED"}`
	for _, v := range []struct {
		name, method, host, body, token, region, service string
		header                                           map[string]string
		at                                               time.Time
		headers, signature                               string
	}{
		{
			"get-vanilla", "GET", "example.amazonaws.com", "", "", "us-east-1", "service", nil, suite,
			"host;x-amz-date", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
		},
		{
			"post-vanilla", "POST", "example.amazonaws.com", "", "", "us-east-1", "service", nil, suite,
			"host;x-amz-date", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
		},
		{
			"post-x-www-form-urlencoded", "POST", "example.amazonaws.com", "Param1=value1", "", "us-east-1", "service",
			map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, suite,
			"content-type;host;x-amz-date", "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
		},
		{
			"post-sts-header-before", "POST", "example.amazonaws.com", "", exampleToken, "us-east-1", "service", nil, suite,
			"host;x-amz-date;x-amz-security-token", "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead",
		},
		{
			"ours", "POST", "sms-voice.eu-west-1.amazonaws.com", feedback, "", "eu-west-1", "sms-voice",
			map[string]string{"Content-Type": "application/x-amz-json-1.0",
				"X-Amz-Target": "PinpointSMSVoiceV2.PutMessageFeedback"}, channeltest.Now(),
			"content-type;host;x-amz-date;x-amz-target", "4aebbcd627cac8baae36aa46ab321af37d6d3faba21dd0400a443a961ec3e46a",
		},
		{
			"ours with a session", "POST", "sms-voice.eu-west-1.amazonaws.com", feedback, "AQoDYXdzEPT//session+token==",
			"eu-west-1", "sms-voice", map[string]string{"Content-Type": "application/x-amz-json-1.0",
				"X-Amz-Target": "PinpointSMSVoiceV2.PutMessageFeedback"}, channeltest.Now(),
			"content-type;host;x-amz-date;x-amz-security-token;x-amz-target",
			"9984c31bb204d829db2ce13cd44a3a86f64e160b4bcabf5f4b51a9e717f0719d",
		},
	} {
		r, err := http.NewRequestWithContext(t.Context(), v.method, "https://"+v.host+"/", strings.NewReader(v.body))
		if err != nil {
			t.Fatal(err)
		}
		for key, value := range v.header {
			r.Header.Set(key, value)
		}
		sign(r, []byte(v.body), credentials{exampleKey, secret.New(exampleSecret), secret.New(v.token)}, v.region, v.service,
			v.at)
		want := "AWS4-HMAC-SHA256 Credential=" + exampleKey + "/" + v.at.Format("20060102") + "/" + v.region + "/" +
			v.service +
			"/aws4_request, SignedHeaders=" + v.headers + ", Signature=" + v.signature
		if got := r.Header.Get("Authorization"); got != want {
			t.Errorf("%s:\n got %s\nwant %s", v.name, got, want)
		}
	}
}
