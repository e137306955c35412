package command

import (
	"context"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"sherpa/models"
	"sherpa/security"
)

type eventsCommand struct {
	User   string `help:"Only what this user did, or what happened to the user." placeholder:"NAME"`
	Kind   string `help:"Only events of this kind, such as login_failed." placeholder:"KIND"`
	Since  string `help:"Only later events: a duration such as 24h, a date, or a time." placeholder:"TIME"`
	Limit  int    `help:"At most so many, the newest; 0 is all." default:"100" placeholder:"N"`
	Follow bool   `help:"Go on and print events as they come."`
	JSON   bool   `name:"json" help:"Print one JSON object a line."`
}

// Run prints events in the order of time.
func (c eventsCommand) Run(ctx context.Context, config *Config, std Streams) error {
	filter, err := c.filter(time.Now())
	if err != nil {
		return &StatusError{StatusUsage, err}
	}
	return withService(ctx, config, func(service *security.Service) error {
		events := service.Events(ctx, filter)
		if c.Follow {
			events = service.FollowEvents(ctx, filter)
		}
		return printEvents(std.Out, events, c.JSON)
	})
}

func (c eventsCommand) filter(now time.Time) (models.EventFilter, error) {
	f := models.EventFilter{Kind: models.EventKind(c.Kind), Username: c.User, Limit: c.Limit}
	if c.Kind != "" && !slices.Contains(models.EventKinds(), f.Kind) {
		return f, fmt.Errorf("--kind: %q is none of %s", c.Kind, joinKinds())
	}
	if c.Limit < 0 {
		return f, fmt.Errorf("--limit: %d is negative", c.Limit)
	}
	if c.Since == "" {
		return f, nil
	}
	var err error
	f.Since, err = parseSince(c.Since, now)
	return f, err
}

func joinKinds() string {
	var all []string
	for _, kind := range models.EventKinds() {
		all = append(all, string(kind))
	}
	return strings.Join(all, ", ")
}

// parseSince reads a duration before now, or a date or a time; without a zone it is UTC, as in the output.
func parseSince(text string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.DateOnly, time.DateTime, time.RFC3339} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf(
		"--since: %q is neither a duration such as 24h nor a date such as 2026-11-26", text)
}

// printEvents writes each line at once, so that it can follow. The columns are as wide as what they usually
// hold.
func printEvents(out io.Writer, events iter.Seq2[models.Event, error], asJSON bool) error {
	if !asJSON {
		head := eventColumns("TIME", "KIND", "COUNT", "USER", "ACTOR", "ADDRESS", "DETAILS")
		if _, err := fmt.Fprintln(out, head); err != nil {
			return err
		}
	}
	for e, err := range events {
		if err != nil {
			return err
		}
		line := eventLine(e)
		if asJSON {
			line, err = eventJSON(e)
		}
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintln(out, line); err != nil {
			return err
		}
	}
	return nil
}

func eventColumns(at, kind, count, user, actor, address, details string) string {
	line := fmt.Sprintf("%-20s  %-22s  %5s  %-12s  %-18s  %-15s  %s",
		at, kind, count, user, actor, address, details)
	return strings.TrimRight(line, " ")
}

func eventLine(e models.Event) string {
	actor := string(e.Actor)
	if e.ActorName != "" {
		actor += " " + cell(e.ActorName)
	}
	user := cell(e.SubjectName)
	if e.NameHash != "" {
		user = "?" + e.NameHash[:min(8, len(e.NameHash))]
	}
	return eventColumns(e.At.Format(time.RFC3339), string(e.Kind), fmt.Sprint(e.Times), user, actor,
		cell(e.Address), eventDetails(e))
}

func eventDetails(e models.Event) string {
	var details []string
	add := func(name, value string) {
		if value != "" {
			details = append(details, name+cell(value))
		}
	}
	add("", e.Reason)
	add("by-token=", e.ActorToken)
	add("session=", e.SessionID)
	add("request=", e.RequestID)
	add("agent=", e.UserAgent)
	return strings.Join(details, " ")
}

// eventView is an event as the command line shows it.
type eventView struct {
	ID        string    `json:"id"`
	At        time.Time `json:"at"`
	LastAt    time.Time `json:"last_at"`
	Kind      string    `json:"kind"`
	Reason    string    `json:"reason"`
	Count     int64     `json:"count"`
	Actor     string    `json:"actor"`
	ActorID   int64     `json:"actor_id,omitzero"`
	ActorName string    `json:"actor_name"`
	TokenID   string    `json:"token_id,omitempty"` // with which the actor did it
	UserID    int64     `json:"user_id,omitzero"`
	Username  string    `json:"username"`
	NameHash  string    `json:"name_hash"`
	SessionID string    `json:"session_id"`
	Address   string    `json:"address"`
	UserAgent string    `json:"user_agent"`
	RequestID string    `json:"request_id"`
}

func eventJSON(e models.Event) (string, error) {
	line, err := json.Marshal(eventView{
		ID: e.ID, At: e.At, LastAt: e.LastAt, Kind: string(e.Kind), Reason: e.Reason, Count: e.Times,
		Actor: string(e.Actor), ActorID: e.ActorID, ActorName: e.ActorName, TokenID: e.ActorToken,
		UserID: e.SubjectID, Username: e.SubjectName, NameHash: e.NameHash, SessionID: e.SessionID,
		Address: e.Address, UserAgent: e.UserAgent, RequestID: e.RequestID,
	})
	return string(line), err
}
