package security

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sherpa/security/token"
)

func TestExplain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.addUser("ada")
	access := b.tokens("ada").AccessToken
	explain := func(text string, change func(*Explanation)) map[string]bool {
		with := Explanation{Keys: *b.Keys(), Settings: b.Settings, Store: b.Store, Now: b.clock.Now()}
		change(&with)
		got := map[string]bool{}
		for _, check := range Explain(t.Context(), with, text) {
			if check.Detail == "" {
				t.Errorf("%s says nothing", check.Name)
			}
			got[check.Name] = check.OK
		}
		return got
	}
	same := func(*Explanation) {}
	all := explain(access, same)
	for name, ok := range all {
		if !ok {
			t.Errorf("a good token fails: %s", name)
		}
	}
	if len(all) < 9 {
		t.Errorf("only %d checks: %v", len(all), all)
	}
	for name, tt := range map[string]struct {
		text   string
		change func(*Explanation)
		fails  []string
	}{
		"rubbish":  {"x", same, []string{"shape"}},
		"no token": {"", same, []string{"shape"}},
		"a header": {"Bearer " + access, same, nil},
		"expired": {access, func(e *Explanation) { e.Now = e.Now.Add(time.Hour) }, []string{"session",
			"valid until"}},
		"clock behind": {access, func(e *Explanation) { e.Now = e.Now.Add(-time.Hour) }, []string{"issued",
			"valid from"}},
		"no database":    {access, func(e *Explanation) { e.Store = nil }, []string{"session"}},
		"other audience": {access, func(e *Explanation) { e.Settings.Audience = "x" }, []string{"audience"}},
		"other issuer":   {access, func(e *Explanation) { e.Settings.Issuer = "x" }, []string{"issuer"}},
		"other signature": {access[:strings.LastIndex(access, ".")+1] + strings.Repeat("A", 43), same,
			[]string{"signature"}},
	} {
		var fails []string
		for check, ok := range explain(tt.text, tt.change) {
			if !ok {
				fails = append(fails, check)
			}
		}
		slices.Sort(fails)
		if diff := cmp.Diff(tt.fails, fails); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if err := b.DisableUser(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	got := explain(access, same)
	if got["session"] || got["user"] {
		t.Errorf("after the user was disabled: %v", got)
	}
	if err := b.DeleteUser(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if got := explain(access, same); got["session"] {
		t.Errorf("after the user was deleted: %v", got)
	}
}

// TestExplainNamesTheKey: which one signed, or which ones could have.
func TestExplainNamesTheKey(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.addUser("ada")
	private := newKey(t, token.ES256)
	b.useKeys(ringOf(t, private))
	access := b.tokens("ada").AccessToken
	id := b.Keys().Names()[0].ID
	signature := func(keys string) Check {
		with := Explanation{Keys: ringOf(t, keys), Settings: b.Settings, Store: b.Store, Now: b.clock.Now()}
		all := Explain(t.Context(), with, access)
		i := slices.IndexFunc(all, func(c Check) bool { return c.Name == "signature" })
		if i < 0 || len(all) < 9 {
			t.Fatalf("the checks are %v", all)
		}
		return all[i]
	}
	for _, tt := range []struct {
		keys, says string
		ok         bool
	}{
		{goodKey + "\n" + private, "made by key 2 (ES256, kid " + id + ") of 2", true},
		{goodKey, `says "ES256" and kid "` + id + `", and here are [key 1 (HS256)]`, false},
	} {
		if got := signature(tt.keys); got.OK != tt.ok || !strings.Contains(got.Detail, tt.says) {
			t.Errorf("got %+v, want %q", got, tt.says)
		}
	}
}

func TestExplainPersonal(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ada := b.addUser("ada", "guide", "cook")
	made, text := b.addToken(ada, NewToken{Name: "deploy", Roles: []string{"cook", "guide"}})
	_, gone := b.addToken(ada, NewToken{Name: "gone"})
	goneID := gone[11:27]
	if err := b.DeleteToken(t.Context(), ada.ID, goneID); err != nil {
		t.Fatal(err)
	}
	if _, err := b.RemoveRole(t.Context(), ada.ID, "cook"); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		text   string
		change func(*Explanation)
		fails  []string
		says   string
	}{
		"good":        {text, nil, nil, "guide; it was made with cook, guide"},
		"a header":    {"Authorization: Bearer " + text, nil, []string{"shape"}, ""},
		"with scheme": {"JWT " + text + "\n", nil, nil, made.ID + `, "deploy"`},
		"typo":        {text[:76] + "!", nil, []string{"shape"}, "the form"},
		"expired": {text, func(e *Explanation) { e.Now = e.Now.Add(91 * 24 * time.Hour) },
			[]string{"valid until"}, "24h0m0s ago"},
		"no database": {text, func(e *Explanation) { e.Store = nil }, []string{"token"}, "no database"},
		"deleted":     {gone, nil, []string{"token"}, "does not exist"},
		"wrong secret": {withSecret(text[:27], gone[27:71]), nil, []string{"token"},
			"another one"},
	} {
		with := Explanation{Settings: b.Settings, Store: b.Store, Now: b.clock.Now()}
		if tt.change != nil {
			tt.change(&with)
		}
		var fails []string
		all := ""
		for _, check := range Explain(t.Context(), with, tt.text) {
			if all += check.Detail + "\n"; !check.OK {
				fails = append(fails, check.Name)
			}
		}
		if diff := cmp.Diff(tt.fails, fails); diff != "" || !strings.Contains(all, tt.says) {
			t.Errorf("%s: %s\n%s", name, diff, all)
		}
		if strings.Contains(all, text[28:60]) || strings.Contains(all, gone[28:60]) {
			t.Errorf("%s: it repeats the secret:\n%s", name, all)
		}
	}
}
