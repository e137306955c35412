// Verifies access tokens of Sherpa without asking it, and still feels a logout. The rules: docs/offline.md.
// Node 18 or newer with jose: npm ci
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { createRemoteJWKSet, jwtVerify } from "jose";

const WAIT = 8, PAUSE = 0.25, KEYS_AGE = 300, KEYS_PAUSE = 10; // seconds

export class Refused extends Error {} // says why a token does not count

// Verifier keeps the public keys and the news of the feed.
export class Verifier {
  #revocations = new Map(); // by sid
  #since = 0; // the oldest good iat
  #heard = -Infinity; // when the latest news came
  #begin; // called with the first news

  constructor(url, tokenFile, { issuer = "sherpa", audience = "sherpa", limit = 30 } = {}) {
    Object.assign(this, { url, tokenFile, limit });
    const requiredClaims = ["exp", "nbf", "iat", "sid"]; // jose itself demands the other two
    this.rules = { issuer, audience, algorithms: ["ES256", "EdDSA"], requiredClaims };
    this.keys = createRemoteJWKSet(new URL("/.well-known/jwks.json", url), {
      cacheMaxAge: KEYS_AGE * 1000, cooldownDuration: KEYS_PAUSE * 1000, timeoutDuration: 5000,
    });
    this.ready = new Promise((resolve) => { this.#begin = resolve; }); // before, every token is refused
    this.#follow();
  }

  // verify returns the claims of a good token, with the roles of now, or throws Refused.
  async verify(token) {
    const { payload: claims } = await jwtVerify(token, this.keys, this.rules).catch((error) => {
      throw new Refused(error.message);
    });
    if (now() - this.#heard > this.limit) throw new Refused("there is no news of ended sessions");
    if (claims.iat < this.#since) throw new Refused("it is too old to know whether its session has ended");
    const revocation = this.#revocations.get(claims.sid);
    if (revocation?.ended) throw new Refused("its session has ended");
    return { ...claims, roles: revocation?.roles ?? claims.roles ?? [] };
  }

  async #follow() {
    for (let cursor; ; ) {
      try {
        cursor = await this.#readNews(cursor);
        await sleep(PAUSE * 1000);
      } catch (error) { // whatever it is: without news, verify soon refuses everything
        console.error("verify:", error.message);
        cursor = undefined; // begin anew
        await sleep(1000);
      }
    }
  }

  async #readNews(cursor) {
    const wait = Math.min(WAIT, Math.floor(this.limit / 3));
    const query = new URLSearchParams(cursor ? { wait, after: cursor } : { wait });
    const token = (await readFile(this.tokenFile, "utf8")).trim(); // each time: it may be replaced
    const answer = await fetch(new URL(`/auth/revocations?${query}`, this.url), {
      headers: { Authorization: `Bearer ${token}` }, signal: AbortSignal.timeout((wait + 5) * 1000),
    });
    if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
    const news = await answer.json();
    if (news.reset) [this.#revocations, this.#since] = [new Map(), 0]; // nothing below waits
    for (const r of news.revocations) {
      if (r.all) this.#since = Math.max(this.#since, seconds(r.issued_before));
      else this.#revocations.set(r.sid, r);
    }
    const complete = seconds(news.complete_since);
    for (const [sid, r] of this.#revocations) if (seconds(r.at) < complete) this.#revocations.delete(sid);
    this.#since = Math.max(this.#since, complete);
    this.#heard = now();
    this.#begin();
    return news.cursor;
  }
}

const now = () => performance.now() / 1000; // never set back, unlike the clock
const seconds = (text) => Date.parse(text) / 1000;

// As a program, it reads tokens, one a line, and says of each whether it is good.
if (process.env.VERIFY_URL) {
  const limit = Number(process.env.VERIFY_LIMIT ?? 30);
  const verifier = new Verifier(process.env.VERIFY_URL, process.env.VERIFY_TOKEN_FILE, { limit });
  await Promise.race([verifier.ready, sleep(limit * 1000)]);
  for await (const line of createInterface({ input: process.stdin })) {
    try {
      const claims = await verifier.verify(line.trim());
      console.log("ok", claims.sub, claims.roles.join(","));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      console.log("refused:", error.message);
    }
  }
  process.exit(); // the verifier goes on for ever
}
