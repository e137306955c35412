// Package security answers two questions about a request: who are you, and may you.
//
// Service has one method for every action on a user or a session. HTTP and the command line call the same
// methods. The package knows no SQL, no routes and no JSON. Only gate.go imports gin-jwt and Gin.
//
// The words that this code uses:
//
//   - user: somebody who may log in, with a username and a password.
//   - session: what a login starts. It ends once, for one reason, and is never revived.
//   - access token: a JSON Web Token that names a user and a session. It lives for minutes.
//   - refresh token: an opaque text that a client exchanges once for the next pair of tokens.
//   - ring: the signing keys, each a secret or a private key. The first signs, all verify.
//   - rotation: that exchange. The token after it is the newest, the one before it is the previous one.
//   - grace period: the seconds in which the previous refresh token still gets the same successor.
//   - personal access token: an opaque text that a program sends in place of an access token. It lives for
//     months, and needs no session.
//   - principal: the user behind a checked request, with the session or the personal access token.
//   - cache: verified tokens and live sessions, in the memory of one replica.
//   - revocation feed: the table of sessions and tokens that ended. Each replica polls it and evicts them.
//   - fresh, stale: whether the latest poll is recent enough to trust the cache.
//   - outage: the time in which a replica could not read the feed.
//   - replica: one of several processes on the same database.
//   - password reset: a token with which its user sets a new password, once. An invitation is one for a user
//     who has no password yet.
//   - throttle: the counters that slow down failed logins.
package security
