// The page: who am I here, and what may I do. It shows one of a few states, and says which in data-state.

import { Busy, SignIn, SignInFailed, SignedOut } from "./oidc.js";
import { allowed, byName, filled, language, text, time, word } from "./text.js";

const main = document.getElementById("main");
const page = location.origin + location.pathname.replace(/\/$/, "");
let settings;
let signIn;
let timer;
// What an issuer answers that was not to ask anybody anything, and would have to (OpenID Connect Core 1.0, 3.1.2.6).
const WOULD_ASK = new Set(["login_required", "interaction_required", "consent_required", "account_selection_required"]);
// How one comes back from the issuer without an answer: from signing out, to take another account, or by a link there.
// None of them says whether there is still a session, so that is looked at.
const RETURNS = new Set(["left", "switch", "back"]);
const BUSY_SECONDS = 60; // to wait where nobody said how long

document.documentElement.lang = language === "zh" ? "zh-CN" : "en";

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "onclick") made.addEventListener("click", value);
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

function show(state, title, ...children) {
  clearTimeout(timer);
  document.title = `${title} · 常客 Regulars`;
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

function notice(state, title, lead, { action = text.signIn, act = () => signIn.start(), code = "", wrong = false } = {}) {
  const parts = [element("h1", {}, title), element("p", { class: "soft", role: wrong ? "alert" : "status" }, lead)];
  if (code) parts.push(element("p", { class: "code" }, code));
  if (action) parts.push(button(action, act));
  show(state, title, element("div", { class: wrong ? "notice wrong" : "notice" }, ...parts));
}

// Whether this page had somebody signed in: it outlives a reload, where the tokens do not, and says nothing of them.
function remember(signedIn) {
  history.replaceState(signedIn ? { signedIn } : null, "", location.pathname);
}

function fail(problem) {
  if (problem instanceof Busy) {
    const at = Math.ceil((Date.now() / 1000 + problem.seconds) / 60) * 60; // the clock's next minute after it
    const lead = filled(text.busyLead, { seconds: problem.seconds, time: time(at) });
    notice("busy", text.busy, lead, { action: text.retry, act: showMe, wrong: true });
    return;
  }
  if (!signIn) {
    notice("failed", text.noSettings, text.noSettingsLead, { action: text.retry, act: reload, wrong: true });
    return; // and the reload goes on where this one could not
  }
  remember(false);
  const code = problem instanceof SignInFailed ? problem.code : String(problem.message ?? problem);
  if (problem instanceof SignedOut) {
    notice("expired", text.expired, text.expiredLead, { action: text.again });
  } else if (code === "staff_suspended") {
    notice("suspended", text.suspended, text.suspendedLead, { action: text.switch, act: takeAnother, wrong: true });
  } else {
    const leads = { unreachable: text.unreachable, token_invalid: text.refused, access_denied: text.refused };
    notice("failed", text.failed, leads[code] ?? text.failedLead, { action: text.again, code, wrong: true });
  }
}

function reload() {
  location.reload();
}

// Where an issuer has no page of signing out, its login page takes another account too.
async function takeAnother() {
  if (!(await signIn.signOut("switch"))) await signIn.start({ prompt: "login" });
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
  if (answer.status === 429) throw new Busy(Number(answer.headers.get("Retry-After")) || BUSY_SECONDS);
  if (!answer.ok) throw new SignInFailed(answer.status >= 500 ? "unreachable" : (said.code ?? `status_${answer.status}`));
  return said;
}

function tags(words) {
  if (!words.length) return text.none;
  return element("ul", { class: "tags" }, ...words.map((each) => element("li", {}, each)));
}

// Whose rights reach everywhere needs no shop.
function shops(me) {
  if (me.shop_ids.length) return tags(me.shop_ids.map((each) => settings.shops?.[each]?.[language] ?? each));
  return me.permissions.length && me.permissions.every(({ scope }) => scope === "all") ? text.allShops : text.none;
}

function kept() {
  return filled(text.kept, { time: time(signIn.until) });
}

function facts(me) {
  const id = element("span", { class: "code" }, me.subject);
  const rows = [
    [text.account, signIn.login ?? id],
    ...(signIn.login ? [[text.staffId, id]] : []),
    [text.roles, tags(me.roles.map((each) => word("role", each)))],
    [text.shops, shops(me)],
    [text.until, element("span", { id: "until" }, kept())],
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
  return element("div", { class: "rights" }, ...[...groups].map(([subject, held]) => [word("subject", subject), subject, held]).sort(byName).map(([name, subject, held]) =>
    element("section", {}, element("h3", {}, name), element("ul", {},
      ...held.map(({ permission, scope }) => element("li", { "data-permission": permission },
        element("span", {}, allowed(permission)), element("span", {}, word("scopes", reach(subject, scope)))))))));
}

// Who comes back by the Back button is signed in still or not any more; the reload that follows finds out.
async function leave() {
  if (!(await signIn.signOut("left"))) notice("signed-out", text.welcome, text.leftHereLead);
}

async function showMe() {
  const me = await whoAmI();
  remember(true);
  show(me.permissions.length ? "signed-in" : "empty", me.name ?? text.noName,
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
      document.getElementById("until").textContent = kept();
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

async function settle() {
  let reply;
  try {
    reply = await fetch("/sign-in/settings.json", { cache: "no-store" });
    settings = await reply.json();
  } catch {
    throw new SignInFailed("settings_missing");
  }
  if (!reply.ok) throw new SignInFailed("settings_missing");
}

async function begin() {
  show("loading", text.welcome, element("p", { class: "soft", role: "status" }, text.loading));
  const answer = new URLSearchParams(location.search);
  const answered = answer.has("code") || answer.has("error");
  const reloaded = history.state?.signedIn && !answered;
  await settle();
  remember(false); // and a code in the address bar could be shared or sent along
  if (!settings.issuer) {
    notice("closed", text.closed, text.closedLead, { action: "" });
    return;
  }
  signIn = new SignIn(settings, page);
  const back = answered ? "" : answer.get("state");
  if (RETURNS.has(back)) {
    await signIn.look(back);
  } else if (reloaded) {
    await signIn.look("reload");
  } else if (await finished(answer)) {
    await showMe();
  } else if (signIn.why === "switch") {
    await signIn.start();
  } else if (signIn.why === "reload") {
    throw new SignedOut(); // as by another tab
  } else {
    notice("signed-out", text.welcome, signIn.why === "left" ? text.leftLead : text.welcomeLead);
  }
}

// A page that the browser kept for the Back button has forgotten its tokens, and may be of somebody who has left.
addEventListener("pageshow", ({ persisted }) => {
  if (persisted) reload();
});

begin().catch(fail);
