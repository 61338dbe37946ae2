// The page: who am I here, and what may I do. It shows one of a few states, and says which in data-state.

import { SignIn, SignInFailed, SignedOut } from "./oidc.js";
import { allowed, language, text, time, word } from "./text.js";

const main = document.getElementById("main");
const page = location.origin + location.pathname.replace(/\/$/, "");
let signIn;
let timer;
// What an issuer answers that was not to ask anybody anything, and would have to (OpenID Connect Core 1.0, 3.1.2.6).
const WOULD_ASK = new Set(["login_required", "interaction_required", "consent_required", "account_selection_required"]);

document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
document.title = `${text.welcome} · 常客 Regulars`;

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "onclick") made.addEventListener("click", value);
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

function show(state, ...children) {
  clearTimeout(timer);
  main.dataset.state = state;
  main.replaceChildren(...children);
}

function button(label, action, kind = "") {
  return element("button", {
    class: kind,
    type: "button",
    onclick: async ({ currentTarget }) => {
      currentTarget.disabled = true;
      try {
        await action();
      } catch (problem) {
        fail(problem);
      }
    },
  }, label);
}

function notice(state, title, lead, { action = text.signIn, code = "", wrong = false } = {}) {
  const parts = [element("h1", {}, title), element("p", { class: "soft", role: wrong ? "alert" : "status" }, lead)];
  if (code) parts.push(element("p", { class: "code" }, code));
  if (action) parts.push(button(action, () => signIn.start()));
  show(state, element("div", { class: wrong ? "notice wrong" : "notice" }, ...parts));
}

// Whether this page had somebody signed in: it outlives a reload, where the tokens do not, and says nothing of them.
function remember(signedIn) {
  history.replaceState(signedIn ? { signedIn } : null, "", location.pathname);
}

function fail(problem) {
  remember(false);
  if (problem instanceof SignedOut) {
    notice("expired", text.expired, text.expiredLead, { action: text.again });
    return;
  }
  const code = problem instanceof SignInFailed ? problem.code : String(problem.message ?? problem);
  const leads = { unreachable: text.unreachable, token_invalid: text.refused, access_denied: text.refused };
  notice("failed", text.failed, leads[code] ?? text.failedLead, { action: signIn ? text.again : "", code, wrong: true });
}

// ---------------------------------------------------------------- signed in

async function whoAmI() {
  const authorization = `Bearer ${await signIn.token()}`;
  let answer;
  try {
    answer = await fetch("/v1/whoami", { headers: { authorization }, cache: "no-store" });
  } catch {
    throw new SignInFailed("unreachable");
  }
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new SignInFailed(answer.status >= 500 ? "unreachable" : (said.code ?? `status_${answer.status}`));
  return said;
}

function tags(words) {
  if (!words.length) return text.none;
  return element("ul", { class: "tags" }, ...words.map((each) => element("li", {}, each)));
}

function facts(me) {
  const rows = [
    [text.account, element("span", { class: "code" }, me.subject)],
    [text.roles, tags(me.roles.map((each) => word("role", each)))],
    [text.shops, tags(me.shop_ids)],
    [text.until, element("span", { id: "until" }, time(signIn.until) + text.renewed)],
  ];
  return element("dl", { class: "facts" }, ...rows.flatMap(([name, value]) => [
    element("dt", {}, name),
    element("dd", {}, value),
  ]));
}

// What belongs to members is the whole chain's, so a reach to shops is a reach to every member there.
const OF_MEMBERS = new Set(["members", "points", "pools", "cards"]);

function reach(subject, scope) {
  if (scope !== "shop") return scope;
  return OF_MEMBERS.has(subject) ? "members" : subject === "program" ? "all" : scope;
}

function rights(permissions) {
  if (!permissions.length) {
    return element("div", { class: "empty" }, element("p", {}, text.noRights),
      element("p", { class: "soft" }, text.noRightsLead));
  }
  const groups = new Map();
  for (const { permission, scope } of permissions) {
    const [subject] = permission.split(":");
    groups.set(subject, [...(groups.get(subject) ?? []), { permission, scope }]);
  }
  return element("div", { class: "rights" }, ...[...groups].map(([subject, held]) =>
    element("section", {}, element("h3", {}, word("subject", subject)), element("ul", {},
      ...held.map(({ permission, scope }) => element("li", { "data-permission": permission },
        element("span", {}, allowed(permission)), element("span", {}, word("scopes", reach(subject, scope)))))))));
}

function leave() {
  remember(false);
  return signIn.signOut("left");
}

async function showMe() {
  const me = await whoAmI();
  remember(true);
  show(me.permissions.length ? "signed-in" : "empty",
    element("div", { class: "who" }, element("h1", { tabindex: "-1" }, me.name ?? text.noName),
      button(text.signOut, leave, "quiet")),
    facts(me),
    element("h2", {}, text.rights),
    ...(me.permissions.some(({ scope }) => scope === "shop") ? [element("p", { class: "soft" }, text.chain)] : []),
    rights(me.permissions));
  main.querySelector("h1").focus(); // what a screen reader says first
  renewInTime();
}

// Renewed ahead of its end, so that whoever leaves the page open sees when their sign-in is over.
function renewInTime() {
  timer = setTimeout(async () => {
    try {
      await signIn.token();
      document.getElementById("until").textContent = time(signIn.until) + text.renewed;
      renewInTime();
    } catch (problem) {
      if (problem instanceof SignInFailed && problem.code === "unreachable" && signIn.until > Date.now() / 1000) {
        timer = setTimeout(renewInTime, 5000);
      } else {
        fail(problem);
      }
    }
  }, signIn.wait * 1000);
}

// ---------------------------------------------------------------- start

async function finished(answer) {
  try {
    return await signIn.finish(answer);
  } catch (problem) {
    if (problem instanceof SignInFailed && WOULD_ASK.has(problem.code)) return false;
    throw problem;
  }
}

async function begin() {
  show("loading", element("p", { class: "soft", role: "status" }, text.loading));
  const answer = new URLSearchParams(location.search);
  const reloaded = history.state?.signedIn && !answer.has("code") && !answer.has("error");
  remember(false); // and a code in the address bar could be shared or sent along
  const settings = await fetch("/sign-in/settings.json", { cache: "no-store" }).then((reply) => reply.json());
  if (!settings.issuer) {
    notice("closed", text.closed, text.closedLead, { action: "" });
    return;
  }
  signIn = new SignIn(settings, page);
  if (reloaded) {
    await signIn.start({ prompt: "none" }); // the issuer remembers, or sends back at once to say that it does not
  } else if (await finished(answer)) {
    await showMe();
  } else {
    notice("signed-out", text.welcome, answer.get("state") === "left" ? text.leftLead : text.welcomeLead);
  }
}

begin().catch(fail);
