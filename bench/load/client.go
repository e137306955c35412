package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"
)

const (
	longestRequest = 10 * time.Second
	maxBody        = 64 << 10
)

// client keeps connections open, as many as are used at a time.
type client struct {
	http *http.Client
	url  string
}

func newClient(url string) client {
	return client{url: url, http: &http.Client{
		Timeout:   longestRequest,
		Transport: &http.Transport{MaxIdleConnsPerHost: 4096, MaxIdleConns: 4096},
	}}
}

// clients are one for each server.
func (p plan) clients() []client {
	var all []client
	for _, url := range p.urls {
		all = append(all, newClient(url))
	}
	return all
}

// get asks for a protected resource.
func (c client) get(ctx context.Context, token string) (status int, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url+"/mountain/x", nil)
	if err != nil {
		return 0, err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	status, _, err = c.do(request)
	return status, err
}

// post sends a JSON document; address is the client's for the server, which believes X-Forwarded-For.
func (c client) post(ctx context.Context, path, address string, document any) (status int, answer []byte, err error) {
	body, err := json.Marshal(document)
	if err != nil {
		return 0, nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Forwarded-For", address)
	return c.do(request)
}

func (c client) do(request *http.Request) (status int, answer []byte, err error) {
	response, err := c.http.Do(request)
	if err != nil {
		return 0, nil, err
	}
	answer, err = io.ReadAll(io.LimitReader(response.Body, maxBody))
	return response.StatusCode, answer, errors.Join(err, response.Body.Close())
}

type credentials struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

// tokens is what a login and a refresh answer with.
type tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
}

// logIn fails unless the login succeeds.
func (c client) logIn(ctx context.Context, address, username, password string) (tokens, error) {
	status, answer, err := c.post(ctx, "/auth", address, credentials{username, password})
	return readTokens(status, answer, err)
}

func readTokens(status int, answer []byte, err error) (tokens, error) {
	if err != nil {
		return tokens{}, err
	}
	if status != http.StatusOK {
		return tokens{}, fmt.Errorf("status %d: %s", status, answer)
	}
	var t tokens
	return t, json.Unmarshal(answer, &t)
}

// address is the n-th of 16 million.
func address(n int) string {
	return fmt.Sprintf("10.%d.%d.%d", n>>16&255, n>>8&255, n&255)
}

func username(n int) string { return "user" + strconv.Itoa(n) }

// readLines returns the lines of a file, at least one.
func readLines(path string) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	var lines []string
	scanner := bufio.NewScanner(f)
	for scanner.Scan() {
		lines = append(lines, scanner.Text())
	}
	if err := errors.Join(scanner.Err(), f.Close()); err != nil {
		return nil, err
	}
	if len(lines) == 0 {
		return nil, fmt.Errorf("%s is empty", path)
	}
	return lines, nil
}
