package twilio

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
)

func hmacSHA1(key, text string) string {
	mac := hmac.New(sha1.New, []byte(key))
	mac.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
