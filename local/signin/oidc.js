// Signs in by authorization code with PKCE (RFC 6749, 7636, 9700). Tokens stay in this module's memory: they are gone
// when the page is, and no script of another page can read them. Only what has to outlive the way to the issuer and
// back is put aside, and it is used once.

const ASIDE = "regulars.sign-in";
const AHEAD = 30; // seconds before its end in which a token is renewed

export class SignInFailed extends Error {
  constructor(code) {
    super(code);
    this.code = code;
  }
}

export class SignedOut extends Error {}

// Asked for no more often than it is allowed to be.
export class Busy extends Error {
  constructor(seconds) {
    super("rate_exceeded");
    this.seconds = seconds;
  }
}

function base64url(bytes) {
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function random() {
  return base64url(crypto.getRandomValues(new Uint8Array(32)));
}

async function challengeOf(verifier) {
  return base64url(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier))));
}

function claimsOf(token) {
  const part = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
  return JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(part), (letter) => letter.charCodeAt(0))));
}

function now() {
  return Date.now() / 1000;
}

export class SignIn {
  #settings;
  #page;
  #endpoints;
  #tokens;
  #renewing;
  #login;
  #why = "";

  constructor(settings, page) {
    this.#settings = settings;
    this.#page = page;
  }

  // When the token that is in use ends, in seconds since 1970.
  get until() {
    return this.#tokens.until;
  }

  // What was typed to sign in, where the issuer says it.
  get login() {
    return this.#login;
  }

  // Why the issuer was asked for the answer that came; empty for who pressed the button.
  get why() {
    return this.#why;
  }

  // Leave for the issuer's login page.
  async start(more = {}, why = "") {
    location.assign(await this.#asking(more, why));
  }

  // Ask the issuer whether it still knows somebody; it comes back at once, and shows nothing.
  async look(why) {
    location.replace(await this.#asking({ prompt: "none" }, why));
  }

  async #asking(more, why) {
    const { authorization_endpoint: endpoint } = await this.#discovered();
    const aside = { state: random(), nonce: random(), verifier: random(), why };
    sessionStorage.setItem(ASIDE, JSON.stringify(aside));
    const url = new URL(endpoint);
    url.search = new URLSearchParams({
      response_type: "code",
      client_id: this.#settings.client_id,
      redirect_uri: this.#page,
      scope: this.#settings.scope,
      state: aside.state,
      nonce: aside.nonce,
      code_challenge: await challengeOf(aside.verifier),
      code_challenge_method: "S256",
      ...more,
    });
    return url;
  }

  // Take what the issuer sent us back with; false when we were not sent.
  async finish(answer) {
    if (!answer.has("code") && !answer.has("error")) return false;
    const aside = JSON.parse(sessionStorage.getItem(ASIDE) ?? "null");
    sessionStorage.removeItem(ASIDE);
    if (!aside || answer.get("state") !== aside.state) throw new SignInFailed("state_differs");
    this.#why = aside.why;
    const { issuer, authorization_response_iss_parameter_supported: names } = await this.#discovered();
    if ((names || answer.has("iss")) && answer.get("iss") !== issuer) throw new SignInFailed("issuer_differs");
    if (answer.has("error")) throw new SignInFailed(answer.get("error"));
    const got = await this.#token({
      grant_type: "authorization_code",
      code: answer.get("code"),
      redirect_uri: this.#page,
      code_verifier: aside.verifier,
    });
    // It came from the issuer itself, over the connection that we asked on; so what is left to check is whom it is for,
    // and by the nonce that it is new: a till's clock may be wrong, and says nothing about that.
    const claims = claimsOf(got.id_token ?? "..");
    const meant = [claims.aud].flat().includes(this.#settings.client_id) && claims.iss === issuer;
    if (!meant || claims.nonce !== aside.nonce) throw new SignInFailed("id_token_differs");
    this.#keep(got);
    this.#login = claims.preferred_username ?? claims.email;
    return true;
  }

  // A token that is good now, renewed where that is needed.
  async token() {
    if (!this.#tokens) throw new SignedOut();
    if (this.#tokens.until - now() < AHEAD) {
      this.#renewing ??= this.#renew().finally(() => (this.#renewing = undefined));
      await this.#renewing;
    }
    return this.#tokens.access;
  }

  // Seconds until the token should be renewed.
  get wait() {
    return Math.max(1, this.#tokens.until - now() - AHEAD + 1);
  }

  forget() {
    this.#tokens = undefined;
  }

  // Leave for the issuer's page of signing out; false where it has none. Whoever stays signed in there comes back with
  // the same state as who does not, so that what became of it has to be looked at.
  async signOut(state) {
    const { end_session_endpoint: endpoint } = await this.#discovered();
    this.forget();
    if (!endpoint) return false;
    const url = new URL(endpoint);
    url.search = new URLSearchParams({
      client_id: this.#settings.client_id,
      post_logout_redirect_uri: this.#page,
      state,
    });
    location.assign(url);
    return true;
  }

  async #renew() {
    const { refresh } = this.#tokens;
    if (!refresh) {
      this.forget();
      throw new SignedOut();
    }
    try {
      this.#keep(await this.#token({ grant_type: "refresh_token", refresh_token: refresh }));
    } catch (problem) {
      if (!(problem instanceof SignInFailed) || problem.code === "unreachable") throw problem;
      this.forget();
      throw new SignedOut();
    }
  }

  #keep(got) {
    // A refresh token is good for one use; the answer to that use brings the next one.
    this.#tokens = {
      access: got.access_token,
      refresh: got.refresh_token,
      until: now() + Number(got.expires_in ?? 300),
    };
  }

  async #token(form) {
    const { token_endpoint: endpoint } = await this.#discovered();
    const body = new URLSearchParams({ ...form, client_id: this.#settings.client_id });
    const answer = await this.#fetch(endpoint, { method: "POST", body });
    const said = await answer.json().catch(() => ({}));
    if (!answer.ok) throw new SignInFailed(answer.status >= 500 ? "unreachable" : (said.error ?? "token_refused"));
    return said;
  }

  async #discovered() {
    if (!this.#endpoints) {
      const { issuer } = this.#settings;
      const answer = await this.#fetch(`${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`);
      const said = await answer.json().catch(() => ({}));
      if (said.issuer !== issuer) throw new SignInFailed("issuer_differs");
      this.#endpoints = said;
    }
    return this.#endpoints;
  }

  async #fetch(url, options = {}) {
    try {
      return await fetch(url, { credentials: "omit", cache: "no-store", ...options });
    } catch {
      throw new SignInFailed("unreachable");
    }
  }
}
