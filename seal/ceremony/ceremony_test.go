package ceremony_test

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/ceremony"
)

// TestInit: three custodians take places, each sees one share, and the shares they give
// back unseal the new store. Who began sees none of them.
func TestInit(t *testing.T) {
	s := newSite(t)
	s.want(s.get("/ceremony/"), 200, "There is no store yet.", "Make the store")
	tb := s.begins("init", "2", "Ada", "Ben", "Carla")
	lead := s.want(tb.lead("look"), 200, "All places are taken", "Ada", "Ben", "Carla")
	for i := range tb.tickets { // what each reads stands beside the name
		p := tb.place(i, "look")
		check := regexp.MustCompile(`check digits">(\d{3} \d{3})<`).FindStringSubmatch(p.body)
		if check == nil || !strings.Contains(lead.body, check[1]) {
			t.Fatalf("place %d: its number is not what who began sees", i+1)
		}
	}
	lead = s.want(tb.lead("make"), 200, "The shares are made")
	tb.show()
	for i, share := range tb.shares {
		if strings.Contains(tb.lead("look").body, share[:20]) || strings.Contains(lead.body, share[:20]) {
			t.Error("who began sees a share")
		}
		for j := range tb.tickets {
			if got := shareIn(tb.place(j, "show")); (got == share) != (i == j) {
				t.Errorf("place %d shows the share of place %d, or not its own", j+1, i+1)
			}
		}
		if shareIn(tb.place(i, "look")) != "" {
			t.Error("a look shows the share")
		}
	}
	s.want(tb.place(0, "back", "share", tb.shares[1]), 200, "not the one of your place")
	s.want(tb.place(0, "back", "share", strings.ToUpper(tb.shares[0])), 200, "the server has forgotten it")
	s.want(tb.place(0, "show"), 200, "You have it")
	if p := tb.place(0, "show"); shareIn(p) != "" || strings.Contains(p.body, tb.shares[0][:20]) {
		t.Error("a share that was given back is shown again")
	}
	if s.b.Sealed() == nil {
		t.Fatal("one share of two unseals")
	}
	s.want(tb.place(1, "back", "share", tb.shares[1]), 200, "the new shares count")
	if err := s.b.Sealed(); err != nil {
		t.Fatal(err)
	}
	s.want(tb.place(2, "back", "share", tb.shares[2]), 200, "Thank you")
	s.want(tb.lead("look"), 200, "The new shares count.")
	s.want(s.get("/ceremony/"), 200, "The server is unsealed.")
	s.want(s.get("/ceremony/begin/init"), 400, "there already")
	if log := s.said(); strings.Contains(log, tb.shares[0][:20]) || !strings.Contains(log, "the share of place 1 was shown") || !strings.Contains(log, "place 3 was taken") {
		t.Errorf("events:\n%s", log)
	}
}

// TestInitBesideKMS: a store that a KMS opens too is unsealed at once, and its people's
// shares are proven as they come back.
func TestInitBesideKMS(t *testing.T) {
	fake := &kmstest.Fake{}
	s := newSite(t, func(sc *seal.Config, c *ceremony.Config) {
		sc.KMS = map[string]kms.Wrapper{"cloud": fake.Key("cloud")}
		c.Slots = map[string]seal.Spec{"cloud": seal.KMS{Wrapper: "cloud"}}
	})
	tb := s.begins("init", "2", "Ada", "Ben")
	s.want(tb.lead("make"), 200)
	if err := s.b.Sealed(); err != nil {
		t.Fatal(err)
	}
	tb.show()
	s.want(tb.place(0, "back", "share", tb.shares[0]), 200, "Thank you")
	s.want(tb.place(1, "back", "share", tb.shares[1]), 200, "the new shares count")
	for _, slot := range s.b.Status().Slots {
		if slot.State != seal.SlotActive {
			t.Errorf("%s is %s", slot.Name, slot.State)
		}
	}
}

// TestRekey: the holders of the old shares join by the link and agree, the new ones see
// their shares and verify them, and the old ones are named stale.
func TestRekey(t *testing.T) {
	s := newSite(t)
	old := s.stored(3, 2)
	tb := s.begins("rekey", "2", "Dora", "Emil", "林")
	s.want(tb.lead("make"), 200, "The holders of the old shares can agree now")
	op := s.b.Status().Operation
	if op == nil {
		t.Fatal("no operation")
	}
	link := "/ceremony/operation/" + string(op.ID)
	if !strings.Contains(tb.lead("look").body, link) {
		t.Error("who began does not see the link")
	}
	s.want(s.get("/ceremony/"), 200, "New shares are asked for", "Open its page")
	s.want(s.get(link), 200, "Dora , Emil , 林", "0 of 2 needed shares are in")
	s.want(s.post(link, "share", old[0]), 200, "counts", "1 of 2 needed shares are in")
	s.want(s.post(link, "share", old[0]), 200, "was given already")
	s.want(s.post(link, "share", old[2]), 200, "the new shares are made")
	tb.show()
	s.want(s.post("/ceremony/check", "share", old[1]), 200, "Your share is right: number 2 of set 1")
	s.want(s.post("/ceremony/check", "share", tb.shares[0]), 200)
	verify := "/ceremony/operation/" + string(s.b.Status().Operation.ID)
	s.want(s.get(verify), 200, "New shares are verified")
	s.want(tb.place(2, "back", "share", tb.shares[2]), 200, "Thank you")
	s.want(s.post(verify, "share", tb.shares[0]), 200, "it is done") // by the link is as good
	s.want(tb.place(0, "back", "share", tb.shares[0]), 200, "Thank you")
	s.want(tb.place(1, "back", "share", tb.shares[1]), 200, "Thank you")
	s.want(s.post("/ceremony/check", "share", old[1]), 200, "set 1, which was replaced; set 2 counts now")
	s.want(s.post("/ceremony/check", "share", tb.shares[1]), 200, "Your share is right: number 2 of set 2")
	var names []string
	for _, slot := range s.b.Status().Slots {
		names = append(names, slot.Custodians...)
	}
	if strings.Join(names, " ") != "Dora Emil %E6%9E%97" {
		t.Errorf("custodians: %v", names)
	}
	s.want(s.get(link), 200, "not in progress any more")
	s.begins("rekey", "1", "alone") // the one before is complete, and in nobody's way
}

// TestUnseal: shares unseal, and each one that is not right is named, before and after.
func TestUnseal(t *testing.T) {
	s := newSite(t)
	shares := s.stored(3, 2)
	other := newSite(t).stored(1, 1)
	s.seal()
	s.want(s.get("/ceremony/"), 200, "An operator sealed it", "0 of 2 needed shares are in (of 3 that exist)")
	wrong := shares[0][:40] + swap(shares[0][40]) + shares[0][41:]
	for _, c := range []struct{ share, says string }{
		{"", "Type or paste your share"},
		{wrong, "The checksum does not fit"},
		{shares[0][:50], "too short: 50 of 89"},
		{shares[0] + "q", "too long: 90 characters in place of 89"},
		{shares[0][:10] + "B" + shares[0][11:], "no share has the character at position 11"},
		{shares[0][:10] + "ｑ" + shares[0][11:], "full-width"},
		{strings.ToUpper(shares[0][:40]) + shares[0][40:], "mixed"},
		{"hello", "begins with sw1"},
		{other[0], "of another store"},
	} {
		p := s.want(s.post("/ceremony/unseal", "share", c.share), 200)
		if !strings.Contains(strings.ToLower(p.text()), strings.ToLower(c.says)) || !strings.Contains(p.body, `role="alert"`) {
			t.Errorf("%q is not named: %s", c.says, p.text())
		}
		if len(c.share) > 20 && strings.Contains(strings.ToLower(p.body), c.share[20:35]) {
			t.Errorf("the page shows what was typed: %s", c.says)
		}
	}
	s.want(s.post("/ceremony/unseal", "share", shares[0]), 200, "Your share is right, and counts", "1 of 2 needed shares are in")
	s.want(s.post("/ceremony/unseal", "share", shares[0]), 200, "Share 1 was given already")
	s.want(s.post("/ceremony/check", "share", shares[1]), 200, "Nothing was opened")
	if s.b.Sealed() == nil {
		t.Fatal("a check has unsealed")
	}
	s.want(s.post("/ceremony/unseal", "share", "\n "+strings.ToUpper(shares[1])+" "), 200, "The server is unsealed.")
	s.want(s.post("/ceremony/unseal", "share", shares[1]), 200, "unsealed already: no more")
	s.want(s.post("/ceremony/unseal", "share", other[0]), 200, "of another store")
}

// TestAShareOfALaterSet: the record was put back from before a rekey, and whoever came
// with a new share was sent to look for another server.
func TestAShareOfALaterSet(t *testing.T) {
	s, later := newSite(t), newSite(t)
	s.stored(1, 1)
	later.stored(1, 1)
	d, err := later.b.Admin().Rekey(t.Context(), "shamir", seal.Shamir{Shares: 1, Threshold: 1}, seal.By{})
	if err != nil {
		t.Fatal(err)
	}
	s.seal()
	for _, path := range []string{"/ceremony/unseal", "/ceremony/check"} {
		s.want(s.post(path, "share", d.Sets[0].Shares[0].Reveal()), 200, "This share is of set 2", "record knows is 1", "the record is older than your share", "Keep the share")
	}
}

// swap is another character of the alphabet.
func swap(c byte) string {
	if c == 'q' {
		return "p"
	}
	return "q"
}

// TestLost: the answers that hold a share can be asked for again, a page that was lost is
// come back to, and a ceremony that was ended leaves the old shares valid.
func TestLost(t *testing.T) {
	s := newSite(t)
	tb := s.begins("init", "2", "Ada", "Ben")
	tb.lead("make")
	tb.show()
	first := tb.shares
	tb.show() // as often as its holder asks, until it is given back
	if tb.shares[0] != first[0] {
		t.Error("another share")
	}
	s.want(tb.lead("cancel"), 200, "was ended")
	s.want(tb.place(0, "show"), 404, "no such ceremony")
	tb = s.begins("init", "2", "Ada", "Ben") // nobody has shown the first ones: it is repeated
	tb.lead("make")
	tb.show()
	s.want(s.post("/ceremony/check", "share", first[0]), 200, "was replaced")
	tb.place(0, "back", "share", tb.shares[0])
	s.want(tb.place(1, "back", "share", tb.shares[1]), 200, "count")
	old := tb.shares

	tb = s.begins("rekey", "2", "Cleo", "Dan")
	tb.lead("make")
	link := "/ceremony/operation/" + string(s.b.Status().Operation.ID)
	s.post(link, "share", old[0])
	s.want(s.post(link, "share", old[1]), 200, "the new shares are made")
	tb.show()
	s.want(tb.lead("cancel"), 200, "was ended")
	if n := len(s.b.Status().Slots); n != 1 || s.b.Status().Operation != nil {
		t.Errorf("%d slots, %v", n, s.b.Status().Operation)
	}
	s.want(s.post("/ceremony/check", "share", old[0]), 200, "Your share is right")
	s.want(s.post("/ceremony/check", "share", tb.shares[0]), 200, "were given up before they counted")
}

// TestRestart: places are gone with their process; what it left is no obstacle.
func TestRestart(t *testing.T) {
	s := newSite(t)
	old := s.stored(2, 2)
	tb := s.begins("rekey", "2", "Cleo", "Dan")
	tb.lead("make")
	link := "/ceremony/operation/" + string(s.b.Status().Operation.ID)
	var err error
	if s.h, err = ceremony.New(s.cfg); err != nil { // another process
		t.Fatal(err)
	}
	s.want(s.get(link), 200, "lost in a restart")
	s.want(s.post(link, "share", old[0]), 200, "no such ceremony here")
	s.want(tb.place(0, "look"), 404)
	tb = s.begins("rekey", "2", "Cleo", "Dan")
	s.want(tb.lead("make"), 200, "can agree now")

	other := newSite(t, func(sc *seal.Config, _ *ceremony.Config) { sc.Store, sc.Replica = s.store, "two" })
	other.post("/ceremony/unseal", "share", old[0])
	other.want(other.post("/ceremony/unseal", "share", old[1]), 200, "The server is unsealed.")
	other.want(other.post("/ceremony/begin/rekey", "shares", "2", "threshold", "2", "token", "let-me"), 400, "Something else is in progress")
	other.want(other.get("/ceremony/operation/"+string(s.b.Status().Operation.ID)), 200, "with another server")
	if s.b.Admin().Refresh(t.Context()) != nil || s.b.Status().Operation == nil {
		t.Error("another replica ended the ceremony")
	}
}

// TestEnds: a ceremony that nobody ends is forgotten in its time, with the shares.
func TestEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, func(_ *seal.Config, c *ceremony.Config) { c.Keep = time.Hour })
		tb := s.begins("init", "2", "Ada", "Ben")
		tb.lead("make")
		tb.show()
		time.Sleep(time.Hour + time.Second)
		synctest.Wait()
		s.want(tb.place(0, "show"), 404, "no such ceremony")
		s.want(tb.lead("look"), 404)
		s.want(s.get("/ceremony/join/"+tb.invitation), 404)
		s.begins("init", "2", "Ada", "Ben")
	})
}

// TestKeys: a share that is encrypted to its holder's key is never in the page in clear.
func TestKeys(t *testing.T) {
	var clear []string
	s := newSite(t, func(_ *seal.Config, c *ceremony.Config) {
		c.ParseRecipient = func(key string) (seal.Recipient, string, error) {
			return recipient(func(share string) { clear = append(clear, share) }), "finger " + key, nil
		}
	})
	p := s.want(s.post("/ceremony/begin/init", "shares", "2", "threshold", "2", "token", "let-me"), 200)
	invitation := p.hidden(t, "invitation")
	tb := &table{s: s, leader: p.hidden(t, "code"), invitation: invitation}
	for _, name := range []string{"Ada", "Ben"} {
		tb.tickets = append(tb.tickets, s.want(s.post("/ceremony/join/"+invitation, "name", name, "key", "age1x"), 200).hidden(t, "code"))
	}
	s.want(tb.lead("make"), 200, "The shares are made")
	for i := range tb.tickets {
		p := s.want(tb.place(i, "show"), 200, "encrypted to your key", "locked away", "use the newer tool")
		if strings.Contains(p.body, clear[i][:20]) {
			t.Error("in clear")
		}
	}
	s.want(tb.place(0, "back", "share", clear[1]), 200, "not the one of your place")
	s.want(tb.place(0, "back", "share", clear[0]), 200, "Thank you")
	s.want(tb.place(1, "back", "share", clear[1]), 200, "the new shares count")
}

type recipient func(string)

func (r recipient) Encrypt(_ context.Context, share string) ([]byte, error) {
	r(share)
	return []byte("-----BEGIN SECRET-----\nlocked away\n"), nil
}

func (recipient) Hint() string { return "use the newer tool" }

// TestMigration: custodians see what the configuration wants, and agree to that alone.
func TestMigration(t *testing.T) {
	fake := &kmstest.Fake{}
	wants := "cloud"
	s := newSite(t, func(sc *seal.Config, c *ceremony.Config) {
		sc.KMS = map[string]kms.Wrapper{"cloud": fake.Key("cloud"), "other": fake.Key("other")}
		c.Plan = func(context.Context) (migrate.Plan, error) {
			return migrate.Plan{Slots: map[string]seal.Spec{wants: seal.KMS{Wrapper: wants}}}, nil
		}
	})
	shares := s.stored(3, 2)
	s.want(s.get("/ceremony/"), 200, "wants another seal")
	plan := s.want(s.get("/ceremony/migration"), 200, "Add the slot cloud: the KMS key “cloud”").hidden(t, "plan")
	wants = "other"
	s.want(s.post("/ceremony/migration", "plan", plan, "share", shares[0]), 200, "has changed since")
	if s.b.Status().Operation != nil {
		t.Fatal("begun all the same")
	}
	wants = "cloud"
	s.want(s.post("/ceremony/migration", "plan", plan, "share", newSite(t).stored(1, 1)[0]), 200, "of another store")
	s.want(s.post("/ceremony/migration", "plan", plan, "share", shares[0]), 200, "counts", "1 of 2 needed shares are in")
	s.want(s.get("/ceremony/"), 200, "moves to another seal")
	s.want(s.post("/ceremony/operation/"+plan, "share", shares[1]), 200, "has its own page")
	s.want(s.post("/ceremony/migration", "plan", plan, "share", shares[1]), 200, "as the configuration wants it")
	if n := len(s.b.Status().Slots); n != 2 {
		t.Errorf("%d slots", n)
	}
	s.want(s.get("/ceremony/migration"), 200, "There is nothing to do")
}

// TestHostOperations: what the host or the command line began is joined by its link, or
// left to the tool that gets its answer.
func TestHostOperations(t *testing.T) {
	s := newSite(t)
	shares := s.stored(2, 2)
	if _, _, err := s.b.Admin().Prove(t.Context(), "shamir", seal.By{Operation: "a-drill"}); err != nil {
		t.Fatal(err)
	}
	s.want(s.get("/ceremony/operation/a-drill"), 200, "asks the custodians to show")
	s.want(s.post("/ceremony/operation/a-drill", "share", shares[0]), 200, "counts")
	s.want(s.post("/ceremony/operation/a-drill", "share", shares[1]), 200, "it is done")
	s.want(s.post("/ceremony/operation/a-drill", "share", shares[1]), 200, "not in progress any more")
	id := seal.OperationID("rekey.3.2.0123456789abcdef0123456789abcdef")
	if _, _, err := s.b.Admin().Prove(t.Context(), "shamir", seal.By{Operation: id}); err != nil {
		t.Fatal(err)
	}
	p := s.want(s.get("/ceremony/operation/"+string(id)), 200, "with bao or vault", string(id))
	if strings.Contains(p.body, "<textarea") {
		t.Error("asks for a share")
	}
	s.want(s.post("/ceremony/operation/"+string(id), "share", shares[0]), 200, "give your share there")
	if len(s.b.Status().Operation.Progress) != 0 {
		t.Error("took it")
	}
	s.want(s.get("/ceremony/begin/rekey"), 400, "Something else is in progress")
}
