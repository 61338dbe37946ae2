// The pages of the demo's issuer, in Chinese or English. They need no script.

import { readFileSync } from "node:fs";

export const STYLE = readFileSync(new URL("./page.css", import.meta.url));

const TEXT = {
  zh: {
    title: "常客 · 员工登录",
    heading: "员工登录",
    lead: "使用 make run 显示的演示账号。",
    login: "账号",
    password: "密码",
    submit: "登录",
    wrong: "账号或密码不正确。",
    leaving: "退出登录？",
    leavingLead: "您将从常客的所有页面退出。",
    leave: "退出",
    stay: "保持登录",
    left: "您已退出登录。",
    back: "返回常客",
    used: "此登录页面已失效",
    expired: "它已经用过，或打开太久了。如果您已登录，返回后会看到自己的页面；否则请重新登录。",
    failed: "无法登录",
    refused: "登录请求不正确，请重新开始。",
  },
  en: {
    title: "Regulars · staff sign-in",
    heading: "Staff sign-in",
    lead: "With one of the demo accounts that make run shows.",
    login: "Account",
    password: "Password",
    submit: "Sign in",
    wrong: "The account or the password is not right.",
    leaving: "Sign out?",
    leavingLead: "You will be signed out of all pages of Regulars.",
    leave: "Sign out",
    stay: "Stay signed in",
    left: "You are signed out.",
    back: "Go to Regulars",
    used: "This sign-in page is out of date",
    expired: "It was used already, or open for too long. If you are signed in, you will see your page; if not, sign in anew.",
    failed: "No sign-in",
    refused: "The sign-in was not asked for as it should be. Please start again.",
  },
};

function escaped(text) {
  return String(text).replace(/[&<>"']/g, (letter) => `&#${letter.codePointAt(0)};`);
}

function sheet(language, content) {
  const text = TEXT[language];
  return `<!doctype html>
<html lang="${language}">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>${text.title}</title>
    <link rel="stylesheet" href="/style.css">
  </head>
  <body>
    <main>
      <p class="brand">常客 <span>Regulars</span></p>
      ${content(text)}
    </main>
  </body>
</html>`;
}

export function login({ uid, wrong, name, language }) {
  return sheet(
    language,
    (text) => `<h1>${text.heading}</h1>
      <p class="lead">${text.lead}</p>
      <form method="post" action="/sign-in/${escaped(uid)}">
        ${wrong ? `<p class="wrong" role="alert">${text.wrong}</p>` : ""}
        <label for="login">${text.login}</label>
        <input id="login" name="login" value="${escaped(name)}" autocomplete="username" autocapitalize="none"
               spellcheck="false" required maxlength="100" ${name ? "" : "autofocus"}>
        <label for="password">${text.password}</label>
        <input id="password" name="password" type="password" autocomplete="current-password" required maxlength="200"
               ${name ? "autofocus" : ""}>
        <button type="submit">${text.submit}</button>
      </form>`,
  );
}

export function goodbye(form, language) {
  return sheet(
    language,
    (text) => `<h1>${text.leaving}</h1>
      <p class="lead">${text.leavingLead}</p>
      ${form}
      <button type="submit" form="op.logoutForm" name="logout" value="yes" autofocus>${text.leave}</button>
      <button type="submit" form="op.logoutForm" class="quiet">${text.stay}</button>`,
  );
}

export function signedOut(page, language) {
  return sheet(language, (text) => `<h1>${text.left}</h1><p><a href="${escaped(page)}">${text.back}</a></p>`);
}

// Who comes by the Back button, or too late, is told so and led to the page, which looks whether they are signed in.
export function failure(page, code, language) {
  const over = code === "interaction_expired";
  return sheet(
    language,
    (text) => `<h1>${over ? text.used : text.failed}</h1>
      <p class="lead">${over ? text.expired : text.refused}</p>
      ${over ? "" : `<p class="code">${escaped(code)}</p>`}
      <a class="button" href="${escaped(page)}?state=back">${text.back}</a>`,
  );
}
