package phone

// reserved is one set of numbers that a regulator keeps free of subscribers, so that they can
// be shown in films, books and examples.
type reserved struct {
	call    int      // calling code
	country string   // that the number is of, unless the metadata knows better
	kind    LineType // that the range pretends to be, unless the metadata knows better
	pattern string   // national significant numbers, as a regular expression
	source  string
}

const (
	ofcom   = "Ofcom, Telephone numbers for use in TV and radio drama programmes"
	nanpa   = "ATIS-0300048, 555 NXX Assignment Guidelines: 555-0100 to 555-0199 are for fiction"
	arcep   = "Arcep, plan national de numérotation: numéros pour les œuvres audiovisuelles"
	acma    = "ACMA, Phone numbers for use in TV shows, films and creative works"
	bnetza  = "Bundesnetzagentur, Mitteilung 148/2021: Rufnummern für Medienproduktionen"
	comreg  = "ComReg, National Numbering Conventions: numbers for drama"
	ptsSwed = "PTS, Telefonnummer för användning i böcker och filmer"
)

// fictions are the reserved numbers that are sure. It is never written.
//
// Toll-free and premium area codes of +1 are left out of the 555-01xx rule but for the one number
// that is reserved there: in the others those lines can be somebody's.
var fictions = []reserved{
	{44, "GB", Mobile, `7700900\d{3}`, ofcom},
	{44, "GB", FixedLine, `2079460\d{3}`, ofcom},
	{44, "GB", FixedLine, `1(?:1[3-8]|[2-6]1)4960\d{3}`, ofcom},
	{44, "GB", FixedLine, `1914980\d{3}`, ofcom},
	{44, "GB", FixedLine, `1632960\d{3}`, ofcom},
	{44, "GB", FixedLine, `2896496\d{3}`, ofcom},
	{44, "GB", FixedLine, `2920180\d{3}`, ofcom},
	{44, "GB", UAN, `3069990\d{3}`, ofcom},
	{44, "GB", TollFree, `8081570\d{3}`, ofcom},
	{44, "GB", PremiumRate, `9098790\d{3}`, ofcom},

	{1, "US", FixedLineOrMobile, `(?:[2-7]\d\d|9(?:0[1-9]|[1-9]\d))55501\d\d`, nanpa},
	{1, "US", FixedLineOrMobile, `8(?:0[1-9]|[19]\d|2[013-9]|3[0-24-9]|4[0-35-9])55501\d\d`, nanpa},
	{1, "US", FixedLineOrMobile, `8(?:5[0-46-9]|6[0-57-9]|7[0-689])55501\d\d`, nanpa},
	{1, "US", TollFree, `8005550199`, nanpa},

	{33, "FR", FixedLine, `(?:19900|26191|35301|46571|53649)\d{4}`, arcep},
	{33, "FR", Mobile, `63998\d{4}`, arcep},

	{61, "AU", FixedLine, `[2378](?:5550|7010)\d{4}`, acma},
	{61, "AU", Mobile, `491570(?:006|15[6-9]|110|313|737)`, acma},
	{61, "AU", Mobile, `49157(?:1(?:266|491|804)|2(?:549|665|983)|3(?:770|087)|4(?:118|632)|5(?:254|789))`, acma},
	{61, "AU", Mobile, `49157(?:6(?:398|801)|7(?:426|644)|8(?:957|148|888)|9(?:212|760|455))`, acma},

	{49, "DE", FixedLine, `(?:3023125|6990009|4066969|2214710|8999998)\d{3}`, bnetza},
	{49, "DE", Mobile, `152(?:28817386|28895456|54599371)`, bnetza},
	{49, "DE", Mobile, `17139200\d\d`, bnetza},
	{49, "DE", Mobile, `172(?:9925904|9968532|997318[56]|9980752)`, bnetza},
	{49, "DE", Mobile, `174(?:9091317|9464308)`, bnetza},
	{49, "DE", Mobile, `176040690\d\d`, bnetza},

	{353, "IE", FixedLine, `2091\d{5}`, comreg},

	{46, "SE", Mobile, `701740(?:60[5-9]|6[1-9]\d)`, ptsSwed},
	{46, "SE", FixedLine, `3139006\d\d`, ptsSwed},
	{46, "SE", FixedLine, `4062804\d\d`, ptsSwed},
	{46, "SE", FixedLine, `8465004\d\d`, ptsSwed},
	{46, "SE", FixedLine, `9803192\d\d`, ptsSwed},
}
