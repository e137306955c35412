package token

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// wantNothingSecret looks for every key of the ring, and what is derived from it, in the public set.
func wantNothingSecret(t *testing.T, ring KeyRing) {
	t.Helper()
	set := string(ring.PublicKeySet())
	secrets := [][]byte{ring.pseudonym}
	for _, key := range ring.keys {
		secrets = append(secrets, key.raw, key.refresh)
	}
	for _, secret := range secrets {
		for _, form := range []string{
			string(secret), hex.EncodeToString(secret), base64.StdEncoding.EncodeToString(secret),
			base64.RawURLEncoding.EncodeToString(secret),
		} {
			if strings.Contains(set, form) {
				t.Errorf("the public keys show a secret: %s", set)
			}
		}
	}
	var all struct{ Keys []map[string]string }
	if err := json.Unmarshal([]byte(set), &all); err != nil || all.Keys == nil {
		t.Fatalf("%s: %v", set, err)
	}
	for _, k := range all.Keys {
		for name := range k {
			if !strings.Contains(" kty crv x y alg use kid ", " "+name+" ") {
				t.Errorf("a key has the member %s", name)
			}
		}
	}
}

// TestPublicKeySet: it has the public keys in the order of the ring, each once, and nothing else.
func TestPublicKeySet(t *testing.T) {
	t.Parallel()
	ec, ed, next := newText(t, ES256), newText(t, EdDSA), newText(t, ES256)
	for name, tt := range map[string]struct {
		texts []string
		kinds []string
	}{
		"secrets":       {[]string{goodKey, goodKey + "x"}, []string{}},
		"a public key":  {[]string{ec}, []string{ES256}},
		"moving":        {[]string{goodKey, ec}, []string{ES256}},
		"moved":         {[]string{ec, goodKey}, []string{ES256}},
		"changing":      {[]string{ec, next}, []string{ES256, ES256}},
		"all":           {[]string{ed, goodKey, ec, next}, []string{EdDSA, ES256, ES256}},
		"the same once": {[]string{ed, ec, ed}, []string{EdDSA, ES256}},
	} {
		ring := ringOf(t, tt.texts...)
		wantNothingSecret(t, ring)
		var all struct{ Keys []jwk }
		if err := json.Unmarshal(ring.PublicKeySet(), &all); err != nil {
			t.Fatal(err)
		}
		kinds := []string{}
		for _, k := range all.Keys {
			kinds = append(kinds, k.Algorithm)
			if len(k.ID) != 43 || k.Use != "sig" || (k.KeyType == "EC") != (k.Y != "") {
				t.Errorf("%s: %+v", name, k)
			}
		}
		if diff := cmp.Diff(tt.kinds, kinds); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if got := string((KeyRing{}).PublicKeySet()); got != string(ringOf(t, goodKey).PublicKeySet()) {
		t.Errorf("an empty ring publishes %s", got)
	}
}
