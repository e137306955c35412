package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// client keeps as many connections open as it uses at a time.
var client = http.Client{
	Timeout:   10 * time.Second,
	Transport: &http.Transport{MaxIdleConnsPerHost: 4096, MaxIdleConns: 4096},
}

// send asks for a protected resource with an access token, or else logs a user in from the n-th of 16 million
// addresses: the server believes X-Forwarded-For.
func (p plan) send(
	ctx context.Context, access string, n int, username string,
) (status int, answer []byte, err error) {
	method, path, body := http.MethodGet, "/mountain/x", ""
	if access == "" {
		method, path = http.MethodPost, "/auth"
		body = fmt.Sprintf(`{"username":%q,"password":%q}`, username, p.password)
	}
	request, err := http.NewRequestWithContext(ctx, method, p.url+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	if access != "" {
		request.Header.Set("Authorization", "Bearer "+access)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Forwarded-For", fmt.Sprintf("10.%d.%d.%d", n>>16&255, n>>8&255, n&255))
	response, err := client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	answer, err = io.ReadAll(response.Body)
	return response.StatusCode, answer, errors.Join(err, response.Body.Close())
}

// logIn logs in the n-th user, and returns the refresh token.
func (p plan) logIn(ctx context.Context, n int) (refresh string, err error) {
	status, answer, err := p.send(ctx, "", n, fmt.Sprint("user", n))
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("status %d: %s", status, answer)
	}
	if err != nil {
		return "", err
	}
	var tokens struct {
		Refresh string `json:"refresh_token"`
	}
	err = json.Unmarshal(answer, &tokens)
	return tokens.Refresh, err
}

// sessions logs in as many users as there are workers, and prints their refresh tokens.
func (p plan) sessions(ctx context.Context) error {
	for n := range p.workers {
		refresh, err := p.logIn(ctx, n)
		if err != nil {
			return err
		}
		fmt.Println(refresh)
	}
	return nil
}

// warm sends every access token of the file twice.
func (p plan) warm(ctx context.Context) error {
	tokens, err := p.readTokens()
	if err != nil {
		return err
	}
	var next atomic.Int64
	return p.each(func() (bool, error) {
		n := int(next.Add(1)) - 1
		if n >= 2*len(tokens) {
			return false, nil
		}
		status, _, err := p.send(ctx, tokens[n%len(tokens)], 0, "")
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("status %d", status)
		}
		return true, err
	})
}

func (p plan) readTokens() ([]string, error) {
	text, err := os.ReadFile(p.tokens)
	if tokens := strings.Fields(string(text)); err != nil || len(tokens) > 0 {
		return tokens, err
	}
	return nil, fmt.Errorf("%s is empty", p.tokens)
}
