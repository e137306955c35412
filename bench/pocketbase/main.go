// Command pocketbase is PocketBase with one route of its own, GET /mountain/{name}, for any user who is logged
// in. Its arguments are PocketBase's, and one more:
//
//	pocketbase serve --dir FOLDER --http 127.0.0.1:5124 [--request-log=false]
//
// It is a module of its own, so that Sherpa's go.mod does not name what Sherpa does not need.
package main

import (
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"os"

	"github.com/pocketbase/pocketbase"
	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
)

// The user who logs in.
const (
	email    = "sherpa@example.com"
	password = "correct horse battery staple"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "pocketbase:", err)
		os.Exit(1)
	}
}

// run leaves every setting at PocketBase's default. Without the request log, only the days for which it keeps
// logs are 0, as its dashboard would set them.
func run() error {
	app := pocketbase.NewWithConfig(pocketbase.Config{HideStartBanner: true})
	var requestLog bool
	app.RootCmd.PersistentFlags().BoolVar(&requestLog, "request-log", true, "keep a log of requests")
	app.OnServe().BindFunc(func(e *core.ServeEvent) error {
		e.InstallerFunc = nil // it would open a browser
		if err := errors.Join(addUser(e.App), keepLog(e.App, requestLog)); err != nil {
			return err
		}
		e.Router.GET("/mountain/{name}", getMountain).Bind(apis.RequireAuth())
		return e.Next()
	})
	return app.Start()
}

type mountainResponse struct {
	Mountain string `json:"mountain"`
}

func getMountain(e *core.RequestEvent) error {
	return e.JSON(http.StatusOK, mountainResponse{Mountain: e.Request.PathValue("name")})
}

// addUser adds the user to a new database.
func addUser(app core.App) error {
	_, err := app.FindAuthRecordByEmail("users", email)
	if !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	users, err := app.FindCollectionByNameOrId("users")
	if err != nil {
		return err
	}
	user := core.NewRecord(users)
	user.SetEmail(email)
	user.SetPassword(password)
	return app.Save(user)
}

func keepLog(app core.App, keep bool) error {
	if keep {
		return nil
	}
	settings := app.Settings()
	settings.Logs.MaxDays = 0
	return app.Save(settings)
}
