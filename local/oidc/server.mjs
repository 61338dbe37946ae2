// The issuer that staff of the demo sign in with: a certified OIDC server (oidc-provider), with a login page of ours.
//
//   node local/oidc/server.mjs FILE ORIGIN
//
// FILE holds the port, the keys and the staff with their passwords (see __init__.py); ORIGIN is where the API and its
// pages are served. It listens on 127.0.0.1 only. Sign-ins are kept in memory: they end when this process ends.

import { createHash, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { Provider } from "oidc-provider";

import { STYLE, failure, goodbye, login, signedOut } from "./pages.mjs";

// oidc-provider is made for Node 22 and says so; this is all that it misses on an early Node 20.
URL.parse ??= (text, base) => (URL.canParse(text, base) ? new URL(text, base) : null);

const [file, origin] = process.argv.slice(2);
const { port, keys, cookie_keys: cookieKeys, client_id: clientId, audience, staff } = JSON.parse(readFileSync(file, "utf8"));
const issuer = `http://127.0.0.1:${port}`;
const page = `${origin}/sign-in`;
const resource = "urn:regulars:api";
const minutes = 60;
const hours = 60 * minutes;

const people = new Map(staff.map((person) => [person.subject, person]));

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: clientId,
      client_name: "Regulars",
      application_type: "web",
      token_endpoint_auth_method: "none",
      grant_types: ["authorization_code", "refresh_token"],
      response_types: ["code"],
      redirect_uris: [page],
      post_logout_redirect_uris: [page],
      id_token_signed_response_alg: "ES256",
    },
  ],
  jwks: { keys },
  cookies: {
    keys: cookieKeys,
    // Cookies know no ports, so two runs on one machine must not share names.
    names: { session: `session_${port}`, interaction: `interaction_${port}`, resume: `resume_${port}` },
  },
  scopes: ["openid", "profile"],
  claims: { openid: ["sub"], profile: ["name", "preferred_username"] },
  conformIdTokenClaims: false, // the page is told who signed in by the ID token, and asks for nothing more
  responseTypes: ["code"],
  pkce: { required: () => true },
  features: {
    devInteractions: { enabled: false },
    userinfo: { enabled: true },
    revocation: { enabled: true },
    rpInitiatedLogout: {
      enabled: true,
      logoutSource: (ctx, form) => send(ctx, goodbye(form, languageOf(ctx.req))),
      postLogoutSuccessSource: (ctx) => send(ctx, signedOut(page, languageOf(ctx.req))),
    },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => resource,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: "",
        audience,
        accessTokenFormat: "jwt",
        accessTokenTTL: 10 * minutes,
        jwt: { sign: { alg: "ES256" } },
      }),
    },
  },
  ttl: {
    AuthorizationCode: 60,
    AccessToken: 10 * minutes,
    IdToken: 10 * minutes,
    RefreshToken: 12 * hours,
    Session: 12 * hours,
    Grant: 12 * hours,
    Interaction: 30 * minutes,
  },
  // A used refresh token that comes again ends the whole grant: one of the two who have it stole it.
  rotateRefreshToken: () => true,
  issueRefreshToken: (ctx, client) => client.grantTypeAllowed("refresh_token"),
  expiresWithSession: () => true,
  clientBasedCORS: (ctx, from) => from === origin,
  interactions: { url: (ctx, interaction) => `/sign-in/${interaction.uid}` },
  findAccount: (ctx, subject) => {
    const person = people.get(subject);
    return person && { accountId: subject, claims: () => ({ sub: subject, name: person.name, preferred_username: person.login }) };
  },
  extraTokenClaims: (ctx, token) => {
    const person = people.get(token.accountId);
    return person && { name: person.name, groups: person.groups, shops: person.shops };
  },
  // The client is the merchant's own, so nobody is asked for consent.
  loadExistingGrant: async (ctx) => {
    const { session, client } = ctx.oidc;
    const known = session.grantIdFor(client.clientId);
    const found = known && (await provider.Grant.find(known));
    if (found) return found;
    const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
    grant.addOIDCScope("openid profile");
    await grant.save();
    return grant;
  },
  renderError: (ctx, out, error) => {
    if (error.statusCode >= 500 || !error.statusCode) console.error(error);
    send(ctx, failure(page, out.error, languageOf(ctx.req)));
  },
});

// ---------------------------------------------------------------- pages

// A form's answer leads on to the page that asked for the sign-in, which is why form-action names it.
const csp =
  `default-src 'none'; style-src 'self'; form-action 'self' ${origin}; base-uri 'none'; frame-ancestors 'none'`;
const headers = {
  "content-security-policy": csp,
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cache-control": "no-store",
};

function send(ctx, html) {
  ctx.set(headers);
  ctx.type = "html";
  ctx.body = html;
}

function reply(response, status, html) {
  response.writeHead(status, { ...headers, "content-type": "text/html; charset=utf-8" });
  response.end(html);
}

function languageOf(request) {
  return /^\s*zh\b/i.test(request.headers["accept-language"] ?? "") ? "zh" : "en";
}

// ---------------------------------------------------------------- signing in

function digest(text) {
  return createHash("sha256").update(text).digest();
}

// Every name and password is compared, whether or not somebody was found: the time tells nothing.
function known(name, password) {
  let found;
  for (const person of staff) {
    const same = timingSafeEqual(digest(person.login), digest(name));
    const right = timingSafeEqual(digest(person.password), digest(password));
    if (same && right) found = person;
  }
  return found;
}

async function formOf(request) {
  let text = "";
  for await (const chunk of request) {
    text += chunk;
    if (text.length > 4096) throw new Error("the form is too long");
  }
  return new URLSearchParams(text);
}

async function signIn(request, response) {
  const language = languageOf(request);
  let details;
  try {
    details = await provider.interactionDetails(request, response);
  } catch {
    reply(response, 400, failure(page, "interaction_expired", language)); // opened too late, or in another browser
    return;
  }
  if (request.method !== "POST") {
    reply(response, 200, login({ uid: details.uid, wrong: false, name: "", language }));
    return;
  }
  const form = await formOf(request);
  const name = (form.get("login") ?? "").trim();
  const person = known(name, (form.get("password") ?? "").trim());
  if (!person) {
    await new Promise((done) => setTimeout(done, 300));
    reply(response, 401, login({ uid: details.uid, wrong: true, name, language }));
    return;
  }
  const result = { login: { accountId: person.subject, remember: false } };
  await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
}

const serve = provider.callback();
const server = createServer((request, response) => {
  const [pathname] = request.url.split("?");
  if (pathname === "/style.css") {
    response.writeHead(200, { "content-type": "text/css; charset=utf-8", "cache-control": "no-cache" });
    response.end(STYLE);
  } else if (/^\/sign-in\/[\w-]+$/.test(pathname) && ["GET", "POST"].includes(request.method)) {
    signIn(request, response).catch((problem) => {
      console.error(problem);
      if (!response.headersSent) reply(response, 500, failure(page, "server_error", languageOf(request)));
    });
  } else {
    serve(request, response);
  }
});
server.on("error", (problem) => {
  console.error(problem.message);
  process.exit(1);
});
server.listen(port, "127.0.0.1");
process.on("SIGTERM", () => process.exit(0));
