// Package all is the list of providers. A new one is a line here and a folder beside.
package all

import (
	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/africastalking"
	"github.com/dialproof/dialproof/internal/channel/aws"
	"github.com/dialproof/dialproof/internal/channel/azure"
	"github.com/dialproof/dialproof/internal/channel/handset"
	"github.com/dialproof/dialproof/internal/channel/httpapi"
	"github.com/dialproof/dialproof/internal/channel/infobip"
	"github.com/dialproof/dialproof/internal/channel/messagebird"
	"github.com/dialproof/dialproof/internal/channel/msg91"
	"github.com/dialproof/dialproof/internal/channel/plivo"
	"github.com/dialproof/dialproof/internal/channel/sinch"
	"github.com/dialproof/dialproof/internal/channel/sip"
	"github.com/dialproof/dialproof/internal/channel/smpp"
	"github.com/dialproof/dialproof/internal/channel/smtp"
	"github.com/dialproof/dialproof/internal/channel/telegram"
	"github.com/dialproof/dialproof/internal/channel/telnyx"
	"github.com/dialproof/dialproof/internal/channel/twilio"
	"github.com/dialproof/dialproof/internal/channel/twofactor"
	"github.com/dialproof/dialproof/internal/channel/vonage"
	"github.com/dialproof/dialproof/internal/channel/webhook"
	"github.com/dialproof/dialproof/internal/channel/whatsapp"
)

//go:generate go test -run ^TestPages$ . -update

// Providers returns every provider, by name. box is where the handset delivers; nil will do for reading the list.
func Providers(box *handset.Box) []channel.Provider {
	return []channel.Provider{
		africastalking.Provider(),
		aws.Provider(),
		azure.Provider(),
		handset.Provider(box),
		httpapi.Provider(),
		infobip.Provider(),
		messagebird.Provider(),
		msg91.Provider(),
		plivo.Provider(),
		sinch.Provider(),
		sip.Provider(),
		smpp.Provider(),
		smtp.Provider(),
		telnyx.Provider(),
		telegram.Provider(),
		twilio.Provider(),
		twofactor.Provider(),
		vonage.Provider(),
		webhook.Provider(),
		whatsapp.Provider(),
	}
}
