"""Verifies access tokens of Sherpa without asking it, and still feels a logout. The rules: docs/offline.md.

Python 3.11 or newer with PyJWT and cryptography: apt install python3-jwt python3-cryptography
"""
import datetime, json, os, sys, threading, time, urllib.request
import jwt

WAIT, PAUSE, KEYS_AGE, KEYS_PAUSE = 8, 0.25, 300, 10  # seconds


class Refused(Exception):
    """Says why a token does not count."""


class Verifier:
    """Keeps the public keys and the news of the feed, in a thread of its own."""

    def __init__(self, url, token_file, issuer="sherpa", audience="sherpa", limit=30):
        self.url, self.token_file, self.limit = url, token_file, limit
        self.issuer, self.audience = issuer, audience
        self.keys, self.keys_at, self.keys_lock = {}, -KEYS_AGE, threading.Lock()
        self.state = {}, 0.0, float("-inf")  # revocations by sid, oldest good iat, time of the news
        self.ready = threading.Event()  # set by the first news: before, every token is refused
        threading.Thread(target=self.follow, daemon=True).start()

    def verify(self, token):
        """Returns the claims of a good token, with the roles of now, or raises Refused."""
        try:
            algorithm, key = self.key(jwt.get_unverified_header(token).get("kid"))
            claims = jwt.decode(  # "nbf" allows for clocks that differ, so "iat" needs no check
                token, key, algorithms=[algorithm], issuer=self.issuer, audience=self.audience,
                options={"require": ["exp", "nbf", "iat", "iss", "aud", "sid"], "verify_iat": False})
        except Exception as error:  # whatever it is: a proxy may send a page in place of the keys
            raise Refused(str(error)) from None
        revocations, since, heard = self.state
        if time.monotonic() - heard > self.limit:
            raise Refused("there is no news of ended sessions")
        if claims["iat"] < since:
            raise Refused("it is too old to know whether its session has ended")
        revocation = revocations.get(claims["sid"], {})
        if revocation.get("ended"):
            raise Refused("its session has ended")
        return claims | {"roles": revocation.get("roles", claims.get("roles", []))}

    def key(self, kid):
        with self.keys_lock:
            if kid not in self.keys and time.monotonic() - self.keys_at > KEYS_PAUSE:
                self.read_keys()
            if kid not in self.keys:
                raise jwt.InvalidKeyError("nobody knows its key")
            return self.keys[kid]

    def read_keys(self):
        self.keys_at = time.monotonic()
        keys = self.get("/.well-known/jwks.json", 5)["keys"]
        self.keys = {k["kid"]: (k["alg"], jwt.PyJWK(k).key) for k in keys if k["alg"] in ("ES256", "EdDSA")}

    def follow(self):
        cursor = None
        while True:
            try:
                if time.monotonic() - self.keys_at > KEYS_AGE:
                    with self.keys_lock:
                        self.read_keys()
                cursor = self.read_news(cursor)
                time.sleep(PAUSE)
            except Exception as error:  # whatever it is: without news, verify soon refuses everything
                print("verify:", error, file=sys.stderr)
                cursor = None  # begin anew
                time.sleep(1)

    def read_news(self, cursor):
        wait = min(WAIT, int(self.limit / 3))
        news = self.get(f"/auth/revocations?wait={wait}" + (f"&after={cursor}" if cursor else ""), wait + 5)
        revocations, since, _ = ({}, 0.0, None) if news["reset"] else self.state
        complete, revocations = seconds(news["complete_since"]), dict(revocations)
        for r in news["revocations"]:
            if r.get("all"):
                since = max(since, seconds(r["issued_before"]))
            else:
                revocations[r["sid"]] = r
        revocations = {sid: r for sid, r in revocations.items() if seconds(r["at"]) >= complete}
        self.state = revocations, max(since, complete), time.monotonic()  # at once, so verify needs no lock
        self.ready.set()
        return news["cursor"]

    def get(self, path, timeout):
        with open(self.token_file) as file:  # each time: the token may be replaced
            header = {"Authorization": "Bearer " + file.read().strip()}
        request = urllib.request.Request(self.url + path, headers=header)
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return json.load(answer)


def seconds(text):
    return datetime.datetime.fromisoformat(text).timestamp()


if __name__ == "__main__":  # reads tokens, one a line, and says of each whether it is good
    limit = float(os.environ.get("VERIFY_LIMIT", 30))
    verifier = Verifier(os.environ["VERIFY_URL"], os.environ["VERIFY_TOKEN_FILE"], limit=limit)
    verifier.ready.wait(limit)
    for line in sys.stdin:
        try:
            claims = verifier.verify(line.strip())
            print("ok", claims["sub"], ",".join(claims["roles"]), flush=True)
        except Refused as why:
            print("refused:", why, flush=True)
