package handlers_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/google/go-cmp/cmp"

	"sherpa/handlers"
	"sherpa/models"
	"sherpa/security"
)

// This file tests what the resources of a fork are made of: fields, pages, ids and roles.

// peaks is a list of numbers from 1 to 5, or of their names, in pages.
type peaks struct{ byName bool }

func (p peaks) Get(c *gin.Context) error {
	if p.byName {
		page, err := handlers.ReadPage[string](c)
		if err != nil {
			return err
		}
		return handlers.WritePage(c, page, after(page, func(n int64) string { return name(n) }), name, name)
	}
	page, err := handlers.ReadPage[int64](c)
	if err != nil {
		return err
	}
	same := func(n int64) int64 { return n }
	return handlers.WritePage(c, page, after(page, same), same, name)
}

func name(n int64) string { return fmt.Sprint("peak ", n) }

// after returns one row more than the page holds, as a store does.
func after[Key string | int64](page models.Page[Key], key func(int64) Key) (rows []int64) {
	for n := int64(1); n <= 5 && len(rows) <= page.Limit; n++ {
		if key(n) > page.After {
			rows = append(rows, n)
		}
	}
	return rows
}

type onePeak struct{}

func (onePeak) Get(c *gin.Context) error {
	id, err := handlers.PathID(c, "id")
	if err != nil {
		return err
	}
	c.JSON(http.StatusOK, id)
	return nil
}

type peakRequest struct {
	Name   *string `json:"name"`
	Height *int64  `json:"height"`
}

func (onePeak) Put(c *gin.Context) error {
	r, err := handlers.ReadJSON[peakRequest](c)
	if err != nil {
		return err
	}
	err = handlers.Check(handlers.Text("name", r.Name, 1, 5), handlers.Number("height", r.Height, 1, 8849))
	if err != nil {
		return err
	}
	c.Status(http.StatusNoContent)
	return nil
}

func newFork(t *testing.T) *server {
	t.Helper()
	return newServerWith(t, []handlers.TestRoute{
		{Path: "/peaks", Resource: peaks{}, Open: true},
		{Path: "/names", Resource: peaks{byName: true}, Open: true},
		{Path: "/peaks/:id", Resource: onePeak{}, Open: true},
	})
}

type pageAnswer struct {
	Items []string `json:"items"`
	Next  string   `json:"next"`
}

func TestPagesFollowEachOther(t *testing.T) {
	t.Parallel()
	s := newFork(t)
	for _, path := range []string{"/peaks", "/names"} {
		var got [][]string
		for query := "?limit=2"; query != ""; {
			a := s.do("GET", path+query, "")
			var page pageAnswer
			a.decode(t, &page)
			got = append(got, page.Items)
			query = ""
			if page.Next != "" {
				query = "?limit=2&after=" + url.QueryEscape(page.Next)
			}
		}
		want := [][]string{{"peak 1", "peak 2"}, {"peak 3", "peak 4"}, {"peak 5"}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", path, diff)
		}
	}
}

func TestWholePageHasNoNext(t *testing.T) {
	t.Parallel()
	s := newFork(t)
	for query, last := range map[string]bool{"": true, "?limit=5": true, "?limit=4": false} {
		if a := s.do("GET", "/peaks"+query, ""); strings.Contains(a.body, `"next"`) == last {
			t.Errorf("%s: %s", query, a.body)
		}
	}
}

func TestPageOfNothingIsAnEmptyList(t *testing.T) {
	t.Parallel()
	s := newFork(t)
	a := s.do("GET", "/peaks?after=NQ", "") // 5 in base64url
	if want := `{"items":[]}`; a.body != want {
		t.Errorf("%s, want %s", a.body, want)
	}
}

func TestPageRejects(t *testing.T) {
	t.Parallel()
	s := newFork(t)
	for name, tt := range map[string]struct{ query, detail string }{
		"no number":           {"?limit=x", "`limit`"},
		"zero":                {"?limit=0", "`limit`"},
		"too many":            {"?limit=101", "`limit`"},
		"empty limit":         {"?limit=", "`limit`"},
		"not base64":          {"?after=%25", "`after`"},
		"of another type":     {"?after=InBlYWsi", "`after`"}, // "peak" in JSON
		"empty cursor":        {"?after=", "`after`"},
		"larger than a key":   {"?after=OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5", "`after`"},
		"text after a number": {"?after=NSB4", "`after`"},
		"unknown":             {"?limits=2", "`limit`, `after`"},
		"twice":               {"?limit=2&limit=3", "once"},
		"cannot be read":      {"?limit=2;after=x", "cannot be read"},
	} {
		a := s.do("GET", "/peaks"+tt.query, "")
		if p := a.problem(t); a.status != 400 || !strings.Contains(p.Detail, tt.detail) {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
}

func TestPathID(t *testing.T) {
	t.Parallel()
	s := newFork(t)
	for id, status := range map[string]int{
		"1": 200, "9223372036854775807": 200, "0": 404, "-1": 404, "01": 404, "+1": 404, "x": 404, "1.0": 404,
		"9223372036854775808": 404,
	} {
		if a := s.do("GET", "/peaks/"+id, ""); a.status != status {
			t.Errorf("%s: %d %s", id, a.status, a.body)
		}
	}
}

func TestFieldsHaveBounds(t *testing.T) {
	t.Parallel()
	s := newFork(t)
	for name, tt := range map[string]struct {
		body     string
		pointers []string
	}{
		"good":               {`{"name":"Éiger","height":3967}`, nil},
		"all that is wrong":  {`{"name":"","height":8850}`, []string{"#/name", "#/height"}},
		"missing":            {`{}`, []string{"#/name", "#/height"}},
		"null":               {`{"name":null,"height":1}`, []string{"#/name"}},
		"too many letters":   {`{"name":"Lhotse","height":1}`, []string{"#/name"}},
		"too small":          {`{"name":"K2","height":0}`, []string{"#/height"}},
		"no whole number":    {`{"name":"K2","height":1.5}`, []string{"#/height"}},
		"number as a string": {`{"name":"K2","height":"1"}`, []string{"#/height"}},
	} {
		a := s.do("PUT", "/peaks/1", tt.body, jsonType)
		if tt.pointers == nil {
			if a.status != 204 {
				t.Errorf("%s: %d %s", name, a.status, a.body)
			}
			continue
		}
		var got []string
		for _, field := range a.problem(t).Errors {
			got = append(got, field.Pointer)
		}
		if diff := cmp.Diff(tt.pointers, got); diff != "" || a.status != 400 {
			t.Errorf("%s: %d %s", name, a.status, diff)
		}
	}
}

// TestEveryCodeOfSecurityHasWords: package security has facts, and the catalogue makes sentences of them.
func TestEveryCodeOfSecurityHasWords(t *testing.T) {
	t.Parallel()
	for _, code := range []security.Code{
		security.InvalidAuthorization, security.InvalidCredentials, security.TokenMissing,
		security.TokenInvalid,
		security.TokenExpired, security.SessionEnded, security.RefreshInvalid, security.WrongPassword,
		security.Throttled, security.Forbidden, security.Overloaded,
	} {
		s := newServerWith(t, []handlers.TestRoute{
			{Path: "/x", Resource: failing{&security.Error{Code: code, Fact: "a fact"}}, Open: true},
		})
		if p := s.do("GET", "/x", "").problem(t); p.Code != code || strings.ContainsAny(p.Detail, "{}") {
			t.Errorf("%s: %+v", code, p)
		}
	}
}

// own is what a user has: the store functions of a fork, which know the owner.
type own struct{ deleted chan [2]int64 }

func (own) Get(c *gin.Context) error {
	if c.Param("id") != "" {
		return handlers.ReadOwn(c, func(_ context.Context, userID, id int64) (string, error) {
			if id != 7 {
				return "", models.ErrNotFound
			}
			return fmt.Sprint("7 of ", userID), nil
		}, strings.ToUpper)
	}
	list := func(_ context.Context, userID int64, page models.Page[int64]) ([]int64, error) {
		return []int64{userID, int64(page.Limit)}, nil
	}
	return handlers.ListOwn(c, list, func(n int64) int64 { return n }, name)
}

func (o own) Delete(c *gin.Context) error {
	return handlers.DeleteOwn(c, func(_ context.Context, userID, id int64) error {
		o.deleted <- [2]int64{userID, id}
		return nil
	})
}

func TestOwnRowsGetTheirOwner(t *testing.T) {
	t.Parallel()
	o := own{make(chan [2]int64, 1)}
	s := newServerWith(t, []handlers.TestRoute{
		{Path: "/own", Resource: own{}}, {Path: "/own/:id", Resource: o},
	})
	mine := "Authorization: Bearer " + s.open().AccessToken
	for _, tt := range []struct {
		method, path string
		status       int
		body         string
	}{
		{"GET", "/own?limit=5", 200, fmt.Sprintf(`{"items":["peak %d","peak 5"]}`, s.user.ID)},
		{"GET", "/own?limit=0", 400, ""},
		{"GET", "/own/7", 200, fmt.Sprintf(`"7 OF %d"`, s.user.ID)},
		{"GET", "/own/8", 404, ""},
		{"GET", "/own/x", 404, ""},
		{"DELETE", "/own/x", 404, ""},
		{"DELETE", "/own/9", 204, ""},
	} {
		a := s.do(tt.method, tt.path, "", mine)
		if a.status != tt.status || tt.body != "" && a.body != tt.body {
			t.Errorf("%s %s: %d %s", tt.method, tt.path, a.status, a.body)
		}
	}
	if got := <-o.deleted; got != [2]int64{s.user.ID, 9} {
		t.Errorf("deleted %v", got)
	}
}
