package phone

import (
	"slices"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// criterion is one test of the metadata: a pattern and the lengths it counts for.
type criterion struct {
	rule   int     // index into planBuilder.rules, or none
	length []int32 // of the national number; empty for all
}

const none = -1

func (c criterion) allows(length int) bool {
	return len(c.length) == 0 || slices.Contains(c.length, int32(length))
}

// planBuilder holds the rules of one calling code and knows what each is for.
type planBuilder struct {
	rules   []rule
	regions []regionRules // in the order in which libphonenumber tries them
	trunk   criterion
	fiction []fictionRules
}

// regionRules are the criteria of one country, or of a service without one.
type regionRules struct {
	country [2]byte
	leading criterion // if there is one, it alone reports whether a number is of this country
	general criterion // what every number of the country fulfils
	kinds   []kindRule
	fixed   criterion
	mobile  criterion
	merged  bool // the plan has the same numbers for fixed and mobile
}

type kindRule struct {
	kind LineType
	criterion
}

type fictionRules struct {
	*reserved
	criterion
}

// newPlanBuilder reads the metadata of a calling code.
func newPlanBuilder(call int) *planBuilder {
	b := &planBuilder{trunk: criterion{rule: none}}
	for i, region := range phonenumbers.GetRegionCodesForCountryCode(call) {
		m := metadata(call, region)
		b.regions = append(b.regions, b.region(m))
		if i == 0 { // the main region; its trunk prefix is the one that a parser removes
			// Some patterns end with $, which an automaton of digits has not. Without it they fit
			// too often, and all that a fit does is ask the library.
			b.trunk = b.prefix(strings.ReplaceAll(m.GetNationalPrefixForParsing(), "$", ""))
		}
	}
	for i := range fictions {
		if f := &fictions[i]; f.call == call {
			b.fiction = append(b.fiction, fictionRules{f, criterion{rule: b.add(rule{pattern: f.pattern})}})
		}
	}
	return b
}

// metadata returns what libphonenumber knows of a region. It was read when the program began.
func metadata(call int, region string) *phonenumbers.PhoneMetadata {
	all, err := phonenumbers.MetadataCollection()
	if err != nil {
		panic("phone: metadata: " + err.Error())
	}
	for _, m := range all.GetMetadata() {
		if m.GetId() == region && int(m.GetCountryCode()) == call {
			return m
		}
	}
	panic("phone: no metadata of region " + region)
}

// region adds the rules of one region, the line types in the order of getNumberTypeHelper in
// libphonenumber: where ranges overlap, the first type counts.
func (b *planBuilder) region(m *phonenumbers.PhoneMetadata) regionRules {
	r := regionRules{
		leading: b.prefix(m.GetLeadingDigits()),
		general: b.whole(m.GetGeneralDesc()),
		fixed:   b.whole(m.GetFixedLine()),
		mobile:  b.whole(m.GetMobile()),
		merged:  m.GetSameMobileAndFixedLinePattern(),
		kinds: []kindRule{
			{PremiumRate, b.whole(m.GetPremiumRate())},
			{TollFree, b.whole(m.GetTollFree())},
			{SharedCost, b.whole(m.GetSharedCost())},
			{VoIP, b.whole(m.GetVoip())},
			{PersonalNumber, b.whole(m.GetPersonalNumber())},
			{Pager, b.whole(m.GetPager())},
			{UAN, b.whole(m.GetUan())},
			{Voicemail, b.whole(m.GetVoicemail())},
		},
	}
	if id := m.GetId(); id != phonenumbers.REGION_CODE_FOR_NON_GEO_ENTITY {
		copy(r.country[:], id)
	}
	return r
}

// whole adds the rule that a national number is as desc says.
func (b *planBuilder) whole(desc *phonenumbers.PhoneNumberDesc) criterion {
	pattern := desc.GetNationalNumberPattern()
	if pattern == "" || pattern == "NA" { // no numbers of this kind
		return criterion{rule: none}
	}
	return criterion{rule: b.add(rule{pattern: pattern}), length: desc.GetPossibleLength()}
}

// prefix adds the rule that a national number begins with pattern.
func (b *planBuilder) prefix(pattern string) criterion {
	if pattern == "" {
		return criterion{rule: none}
	}
	return criterion{rule: b.add(rule{pattern: pattern, prefix: true})}
}

func (b *planBuilder) add(r rule) int {
	b.rules = append(b.rules, r)
	return len(b.rules) - 1
}

// verdict weighs the criteria that a number fulfils as libphonenumber does, then fiction.
func (b *planBuilder) verdict(fulfils func(criterion) bool) verdict {
	var v verdict
	for _, r := range b.regions {
		kind := r.kind(fulfils)
		mine := kind != Unknown || len(b.regions) == 1
		if r.leading.rule != none && len(b.regions) > 1 {
			mine = fulfils(r.leading)
		}
		if !mine {
			continue
		}
		v.country, v.kind = r.country, kind
		if kind != Unknown {
			v.flags |= assigned
		}
		break
	}
	if fulfils(b.trunk) {
		v.flags |= trunk
	}
	for _, f := range b.fiction {
		if !fulfils(f.criterion) {
			continue
		}
		v.flags |= fictional
		if !v.has(assigned) { // some ranges of fiction are unknown to the metadata
			v.kind = f.kind
		}
		if v.country == [2]byte{} {
			copy(v.country[:], f.country)
		}
	}
	return v
}

// kind returns the line type in this region, Unknown when the number is in no range of it.
func (r *regionRules) kind(fulfils func(criterion) bool) LineType {
	if !fulfils(r.general) {
		return Unknown
	}
	for _, k := range r.kinds {
		if fulfils(k.criterion) {
			return k.kind
		}
	}
	switch fixed, mobile := fulfils(r.fixed), fulfils(r.mobile); {
	case fixed && (mobile || r.merged):
		return FixedLineOrMobile
	case fixed:
		return FixedLine
	case mobile && !r.merged:
		return Mobile
	default:
		return Unknown
	}
}
