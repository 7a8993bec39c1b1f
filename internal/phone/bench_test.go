package phone

import (
	"testing"

	"github.com/nyaruka/phonenumbers"
)

// mobiles are ordinary mobile numbers of ten plans, none of them anybody's but an example.
func mobiles() []string {
	return []string{
		"+12015550123", "+447400123456", "+4915123456789", "+33612345678", "+393123456789",
		"+919812345678", "+5511961234567", "+819012345678", "+61412345678", "+2348021234567",
	}
}

func BenchmarkFast(b *testing.B) {
	list := mobiles()
	for _, s := range list {
		_, _ = FromE164(s) // compile the plan
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		_, _ = FromE164(list[i%len(list)])
	}
}

func BenchmarkParseMessy(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		_, _ = Parse("+44 7400 123-456", "")
	}
}

func BenchmarkParseNational(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		_, _ = Parse("07400 123456", "GB")
	}
}

func BenchmarkLibrary(b *testing.B) {
	list := mobiles()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		n, err := phonenumbers.Parse(list[i%len(list)], "")
		if err != nil {
			b.Fatal(err)
		}
		_ = phonenumbers.IsValidNumber(n)
		_ = phonenumbers.GetNumberType(n)
		_ = phonenumbers.GetRegionCodeForNumber(n)
		_ = phonenumbers.Format(n, phonenumbers.E164)
	}
}

// BenchmarkCompile is what the first number of a plan costs, for the largest plan and a usual one.
func BenchmarkCompile(b *testing.B) {
	for name, call := range map[string]uint16{"+1": 1, "+44": 44, "+49": 49} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				(&plan{call: call}).compile()
			}
		})
	}
}
