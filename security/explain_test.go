package security

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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
