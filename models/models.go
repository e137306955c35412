// Package models keeps what Sherpa must remember: users and their sessions.
//
// It holds the only SQL of the project. It knows nothing of HTTP, of tokens or of Gin; callers get
// values of User and Session, and errors that [errors.Is] can tell apart.
package models

import "errors"

var (
	// ErrNotFound says that no row matches.
	ErrNotFound = errors.New("not found")
	// ErrUsernameTaken says that another user has this username already.
	ErrUsernameTaken = errors.New("username is taken")
	// ErrChanged says that the row is no longer of a version that the caller has read.
	ErrChanged = errors.New("it has changed meanwhile")
	// ErrLastAdmin says that a change would leave no administrator who may log in.
	ErrLastAdmin = errors.New("this is the only administrator who may log in: " +
		"give another user the role " + AdminRole + " first")
	// ErrUnavailable says that the database did not carry out a statement: it is locked, full, read-only or
	// down.
	ErrUnavailable = errors.New("database is unavailable")
)
