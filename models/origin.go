package models

import "context"

// Actor says what kind of somebody did something.
type Actor string

// Who can do something.
const (
	ActorUser      Actor = "user"
	ActorOperator  Actor = "operator"  // with the command line
	ActorSystem    Actor = "system"    // the program itself
	ActorAnonymous Actor = "anonymous" // somebody who has not proven who they are
)

// Actors returns all of them.
func Actors() []Actor { return []Actor{ActorUser, ActorOperator, ActorSystem, ActorAnonymous} }

// Origin says who makes a change, and from where.
type Origin struct {
	Actor     Actor
	ActorID   int64  // of a user
	ActorName string // of a user, or of an operator's account on the machine
	Address   string // IP address
	UserAgent string
	RequestID string

	ActorToken string // id of the personal access token with which a user did it
}

type originKey struct{}

// WithOrigin returns a context whose changes have this origin.
func WithOrigin(ctx context.Context, origin Origin) context.Context {
	return context.WithValue(ctx, originKey{}, origin)
}

// OriginOf returns the origin of the changes of this context: the program itself when there is none.
func OriginOf(ctx context.Context) Origin {
	origin, _ := ctx.Value(originKey{}).(Origin)
	if origin.Actor == "" {
		origin.Actor = ActorSystem
	}
	return origin
}
