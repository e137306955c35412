package command

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"sherpa/models"
	"sherpa/security/token"
)

// checkKeys returns what is wrong with the keys that the operator provides, or must provide.
func (c *Config) checkKeys() error {
	if c.makesKey() {
		return nil
	}
	_, err := c.keyRing()
	return err
}

// keyRing reads the signing keys from where the settings say, by default from the folder of the database.
func (c *Config) keyRing() (token.KeyRing, error) {
	switch {
	case c.secretSet:
		return parseKeyRing(secretKeyVariable, c.secretKey)
	case c.SecretKeyFile != "":
		return readKeyRing(c.SecretKeyFile)
	case models.IsPostgres(c.DatabaseURL): // replicas with keys of their own would reject each other's tokens
		return token.KeyRing{}, newSettingError("secret-key-file",
			"replicas on PostgreSQL need the same signing keys: make one with `sherpa key new`, "+
				"and set SHERPA_SECRET_KEY_FILE or SHERPA_SECRET_KEY")
	}
	path, err := c.ownKeyFile()
	if err != nil {
		return token.KeyRing{}, err
	}
	return readKeyRing(path)
}

// warnOfOpenKeyFiles tells the operator when every account of the machine can reach a key. Whoever has a
// signing key can make a token for any user; whoever has the key of TLS can pretend to be this server. It
// runs after keyRing, so there is a file, or the variable.
func (c *Config) warnOfOpenKeyFiles(ctx context.Context, logger *slog.Logger) {
	const remedy = "run chmod o= on their file (Kubernetes: defaultMode: 0440 in the volume)"
	if path := c.keyFile(); path != "" && openToOthers(path) {
		logger.WarnContext(ctx, "every account of this machine can read or change the signing keys; "+remedy,
			"file", path)
	}
	if c.TLSKey != "" && openToOthers(c.TLSKey) {
		logger.WarnContext(ctx, "every account of this machine can read or change the key of TLS; "+remedy,
			"file", c.TLSKey)
	}
}

// keyFile returns the path of the signing keys, or "" when a variable holds them.
func (c *Config) keyFile() string {
	if !c.makesKey() {
		return c.SecretKeyFile
	}
	path, _ := c.ownKeyFile() // keyRing reports the error
	return path
}

// containerSecrets is where Docker and Podman show a container its own secrets. Compose keeps the mode that
// the file has outside, where a folder protects it: see deploy/make-secrets.
const containerSecrets = "/run/secrets/"

// openToOthers reports whether accounts other than the owner and the group have rights to the file. Windows
// has other rights, which the mode does not show.
func openToOthers(path string) bool {
	const others fs.FileMode = 0o007
	if runtime.GOOS == "windows" || strings.HasPrefix(path, containerSecrets) {
		return false
	}
	info, err := os.Stat(path)
	return err == nil && info.Mode()&others != 0
}

// makesKey reports whether we generate the key: the operator provides none, and no other replica needs the
// same.
func (c *Config) makesKey() bool {
	return !c.secretSet && c.SecretKeyFile == "" && !models.IsPostgres(c.DatabaseURL)
}

// ownKeyFile returns the path of the generated key.
func (c *Config) ownKeyFile() (string, error) {
	database, err := models.SQLitePath(c.DatabaseURL)
	return filepath.Join(filepath.Dir(database), "secret.key"), err
}

// makeKey generates a key if the operator provides none and there is none yet.
func (c *Config) makeKey() error {
	if !c.makesKey() {
		return nil
	}
	path, err := c.ownKeyFile()
	if err != nil {
		return err
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := writeOnce(path, token.NewSecret()+"\n"); err != nil {
		return fmt.Errorf("make signing key: %w", err)
	}
	return nil
}

// makeKeyRing is keyRing for a server, which may generate a key.
func (c *Config) makeKeyRing() (token.KeyRing, error) {
	if err := c.makeKey(); err != nil {
		return token.KeyRing{}, err
	}
	return c.keyRing()
}

func readKeyRing(path string) (token.KeyRing, error) {
	text, err := os.ReadFile(path) //nolint:gosec // G304: the operator names the file
	if err != nil {
		return token.KeyRing{}, fmt.Errorf("signing keys: %w", err)
	}
	return parseKeyRing(path, string(text))
}

func parseKeyRing(source, text string) (token.KeyRing, error) {
	ring, err := token.ParseKeyRing(text)
	if err != nil {
		return ring, fmt.Errorf("signing keys in %s: %w", source, err)
	}
	return ring, nil
}

// writeOnce creates the file, mode 0600, with the text; it leaves an existing file alone. A link, unlike a
// rename, fails when another process was first, and shows the file to others only when it is complete.
func writeOnce(path, text string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".secret-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // a leftover copy is harmless: same folder, same mode
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); !errors.Is(err, os.ErrExist) {
		return err
	}
	return nil
}
