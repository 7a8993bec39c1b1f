package phone

import (
	"slices"
	"sync"

	"github.com/nyaruka/phonenumbers"
)

// plans is the one table of numbering plans. Its content never changes; a plan is only compiled
// when the first number of it comes, since a deployment sees few of the two hundred.
var plans = sync.OnceValue(newTable)

// table finds a plan by calling code.
type table [1000]*plan

func newTable() *table {
	t := &table{}
	for call := range phonenumbers.GetSupportedCallingCodes() {
		t[call] = &plan{call: uint16(call)}
	}
	return t
}

// find returns the plan of international digits, nil when nobody has their calling code. No
// calling code begins with another one (ITU-T E.164), so the first that fits is it.
func (t *table) find(digits string) *plan {
	call := 0
	for i := range min(3, len(digits)) {
		call = call*10 + int(digits[i]-'0')
		if p := t[call]; p != nil {
			p.once.Do(p.compile)
			return p
		}
	}
	return nil
}

// verdict is what a plan says of a number.
type verdict struct {
	country [2]byte
	kind    LineType
	flags   uint8
}

const (
	assigned  = 1 << iota // the number is in a range of some line type
	fictional             // the number is reserved for fiction
	trunk                 // its first digits could be a trunk prefix that does not belong there
)

func (v verdict) has(flag uint8) bool { return v.flags&flag != 0 }

// plan is the numbering plan of one calling code: of a country, of several that share the code
// (25 have +1), or of a service without a country.
type plan struct {
	call uint16

	once     sync.Once
	numbers  *automaton
	verdicts []verdict // verdicts[mark*lengths+length of the national number]
}

const lengths = maxDigits + 1

// judge returns the verdict on international digits of this plan.
func (p *plan) judge(digits string) verdict {
	nsn := digits[callDigits(p.call):]
	return p.verdicts[int(p.numbers.run(nsn))*lengths+len(nsn)]
}

// number returns the number with these digits and verdict.
func (p *plan) number(digits uint64, v verdict) Number {
	return Number{digits: digits, call: p.call, country: v.country, kind: v.kind, fiction: v.has(fictional)}
}

// maxShort is the most digits a number may have and still be looked up as a short code: 116 123
// and most others have six or fewer, and longer ones are no risk of confusion.
const maxShort = 6

// refusal returns the code with which the number is refused, "" when it may pass.
func (p *plan) refusal(digits string, v verdict) string {
	if v.has(fictional) {
		return ""
	}
	if !v.has(assigned) {
		if rest := digits[callDigits(p.call):]; len(rest) <= maxShort && isShort(p.call, value(rest)) {
			return CodeShort
		}
		return CodeUnassigned
	}
	if code := v.kind.refusal(); code != "" {
		return code
	}
	switch p.call {
	case 870, 878, 881, 882, 883, 888, 979: // ITU-T E.164 global services and networks
		return CodeSatellite
	}
	return ""
}

// isShort reports whether the national number is a short number of a country with this code.
func isShort(call uint16, national uint64) bool {
	code := int32(call)
	return phonenumbers.IsValidShortNumber(&phonenumbers.PhoneNumber{CountryCode: &code, NationalNumber: &national})
}

// callDigits returns how many digits a calling code has.
func callDigits(call uint16) int {
	switch {
	case call < 10:
		return 1
	case call < 100:
		return 2
	default:
		return 3
	}
}

// compile builds the automaton of the plan and the verdict for each of its ends, so that no
// rule is left to weigh when a number is looked up.
func (p *plan) compile() {
	b := newPlanBuilder(int(p.call))
	p.numbers = compile(b.rules)
	p.verdicts = make([]verdict, len(p.numbers.sets)*lengths)
	for mark, set := range p.numbers.sets {
		for length := range lengths {
			p.verdicts[mark*lengths+length] = b.verdict(func(c criterion) bool {
				return c.allows(length) && slices.Contains(set, c.rule)
			})
		}
	}
	p.numbers.sets = nil
}
