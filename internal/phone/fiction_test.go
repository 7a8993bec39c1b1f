package phone

import "testing"

// TestFiction walks both ends of every reserved range and steps over each.
func TestFiction(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		first, last, country string
		kind                 LineType
	}{
		{"+447700900000", "+447700900999", "GB", Mobile},
		{"+442079460000", "+442079460999", "GB", FixedLine},
		{"+441134960000", "+441134960999", "GB", FixedLine},
		{"+441144960000", "+441144960999", "GB", FixedLine},
		{"+441154960000", "+441154960999", "GB", FixedLine},
		{"+441164960000", "+441164960999", "GB", FixedLine},
		{"+441174960000", "+441174960999", "GB", FixedLine},
		{"+441184960000", "+441184960999", "GB", FixedLine},
		{"+441214960000", "+441214960999", "GB", FixedLine},
		{"+441314960000", "+441314960999", "GB", FixedLine},
		{"+441414960000", "+441414960999", "GB", FixedLine},
		{"+441514960000", "+441514960999", "GB", FixedLine},
		{"+441614960000", "+441614960999", "GB", FixedLine},
		{"+441914980000", "+441914980999", "GB", FixedLine},
		{"+441632960000", "+441632960999", "GB", FixedLine},
		{"+442896496000", "+442896496999", "GB", FixedLine},
		{"+442920180000", "+442920180999", "GB", FixedLine},
		{"+443069990000", "+443069990999", "GB", UAN},
		{"+448081570000", "+448081570999", "GB", TollFree},
		{"+449098790000", "+449098790999", "GB", PremiumRate},
		{"+12125550100", "+12125550199", "US", FixedLineOrMobile},
		{"+14165550100", "+14165550199", "CA", FixedLineOrMobile},
		{"+19055550100", "+19055550199", "CA", FixedLineOrMobile},
		{"+18475550100", "+18475550199", "US", FixedLineOrMobile},
		{"+19995550100", "+19995550199", "US", FixedLineOrMobile}, // no such area code: still nobody
		{"+18005550199", "+18005550199", "US", TollFree},
		{"+33199000000", "+33199009999", "FR", FixedLine},
		{"+33261910000", "+33261919999", "FR", FixedLine},
		{"+33353010000", "+33353019999", "FR", FixedLine},
		{"+33465710000", "+33465719999", "FR", FixedLine},
		{"+33536490000", "+33536499999", "FR", FixedLine},
		{"+33639980000", "+33639989999", "FR", Mobile},
		{"+61255500000", "+61255509999", "AU", FixedLine},
		{"+61355500000", "+61355509999", "AU", FixedLine},
		{"+61755500000", "+61755509999", "AU", FixedLine},
		{"+61870100000", "+61870109999", "AU", FixedLine},
		{"+61491570006", "+61491570006", "AU", Mobile},
		{"+61491570110", "+61491570110", "AU", Mobile},
		{"+61491570156", "+61491570159", "AU", Mobile},
		{"+61491570313", "+61491570313", "AU", Mobile},
		{"+61491570737", "+61491570737", "AU", Mobile},
		{"+61491571266", "+61491571266", "AU", Mobile},
		{"+61491579760", "+61491579760", "AU", Mobile},
		{"+493023125000", "+493023125999", "DE", FixedLine},
		{"+496990009000", "+496990009999", "DE", FixedLine},
		{"+494066969000", "+494066969999", "DE", FixedLine},
		{"+492214710000", "+492214710999", "DE", FixedLine},
		{"+498999998000", "+498999998999", "DE", FixedLine},
		{"+4915228817386", "+4915228817386", "DE", Mobile},
		{"+4915228895456", "+4915228895456", "DE", Mobile},
		{"+4915254599371", "+4915254599371", "DE", Mobile},
		{"+491713920000", "+491713920099", "DE", Mobile},
		{"+491729925904", "+491729925904", "DE", Mobile},
		{"+491729968532", "+491729968532", "DE", Mobile},
		{"+491729973185", "+491729973186", "DE", Mobile},
		{"+491729980752", "+491729980752", "DE", Mobile},
		{"+491749091317", "+491749091317", "DE", Mobile},
		{"+491749464308", "+491749464308", "DE", Mobile},
		{"+4917604069000", "+4917604069099", "DE", Mobile},
		{"+353209100000", "+353209199999", "IE", FixedLine},
		{"+46701740605", "+46701740699", "SE", Mobile},
		{"+46313900600", "+46313900699", "SE", FixedLine},
		{"+46406280400", "+46406280499", "SE", FixedLine},
		{"+46846500400", "+46846500499", "SE", FixedLine},
		{"+46980319200", "+46980319299", "SE", FixedLine},
	} {
		first, last := must(t, c.first), must(t, c.last)
		for _, n := range []Number{first, last} {
			if !n.Fiction() || n.Country() != c.country || n.Type() != c.kind {
				t.Errorf("%s: got fiction=%v, %s, %s", n.E164(), n.Fiction(), n.Country(), n.Type())
			}
		}
		for _, beside := range []uint64{first.digits - 1, last.digits + 1} {
			if n, _ := FromE164(e164(beside)); n.Fiction() {
				t.Errorf("+%d is fiction, outside %s to %s", beside, c.first, c.last)
			}
		}
	}
}

// TestFictionTable holds that every row names its source and country, and that its country has
// the calling code.
func TestFictionTable(t *testing.T) {
	t.Parallel()
	for _, f := range fictions {
		if f.source == "" || len(f.country) != 2 || f.kind == Unknown || plans()[f.call] == nil {
			t.Errorf("incomplete row %+v", f)
		}
	}
}
