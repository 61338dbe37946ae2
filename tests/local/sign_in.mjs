// Signs in with a real browser, as the demo's staff do, and says in JSON what it saw.
//
//   node tests/local/sign_in.mjs CHROMIUM URL STAFF.json [FOLDER for screenshots]

import { readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { chromium } from "playwright-core";

const [executablePath, url, file, folder] = process.argv.slice(2);
const { staff, port } = JSON.parse(readFileSync(file, "utf8"));
const passwords = Object.fromEntries(staff.map(({ login, password }) => [login, password]));
const issuer = `http://127.0.0.1:${port}`;
const seen = { console: [], requests: [] };

const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });

async function opened(locale, viewport = { width: 1280, height: 860 }) {
  const context = await browser.newContext({ locale, viewport });
  const page = await context.newPage();
  page.setDefaultTimeout(10_000);
  page.on("console", (message) => seen.console.push(`${message.type()}: ${message.text()}`));
  page.on("pageerror", (problem) => seen.console.push(`error: ${problem.message}`));
  page.on("request", (request) => seen.requests.push(new URL(request.url()).origin));
  await page.goto(`${url}/sign-in`);
  return page;
}

const state = (page) => page.locator("main").getAttribute("data-state");
const until = (page, wanted) => page.locator(`main[data-state="${wanted}"]`).waitFor();

async function shot(page, name) {
  if (folder) await page.screenshot({ path: `${folder}/${name}.png`, fullPage: true });
}

async function signIn(page, login, password = passwords[login]) {
  await page.locator("main button").first().click();
  await page.locator("#login").fill(login);
  await page.locator("#password").fill(password);
  await page.locator("button[type=submit]").click();
}

async function rights(page) {
  return Object.fromEntries(
    await page.locator("[data-permission]").evaluateAll((found) =>
      found.map((each) => [each.dataset.permission, each.lastElementChild.textContent]),
    ),
  );
}

async function widths(page, name) {
  await page.setViewportSize({ width: 1280, height: 860 });
  await shot(page, `${name}-1280`);
  await page.setViewportSize({ width: 390, height: 780 });
  const fits = await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth);
  await shot(page, `${name}-390`);
  return fits;
}

try {
  // A shop manager, in Chinese: wrong password, right password, who they are, a reload, signing out.
  const page = await opened("zh-CN");
  await until(page, "signed-out");
  seen.fits = [await widths(page, "signed-out")];
  await signIn(page, "manager", "not-the-password");
  seen.wrong = await page.locator("[role=alert]").textContent();
  seen.fits.push(await widths(page, "wrong-password"));
  await page.locator("#password").fill(passwords.manager);
  await page.locator("button[type=submit]").click();
  await until(page, "signed-in");
  seen.manager = {
    name: await page.locator("h1").textContent(),
    facts: await page.locator(".facts").innerText(),
    rights: await rights(page),
    address: page.url(),
    storage: await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie])),
  };
  seen.fits.push(await widths(page, "signed-in"));
  const reloaded = page.waitForRequest((each) => new URL(each.url()).searchParams.get("prompt") === "none");
  await page.reload();
  await reloaded;
  await until(page, "signed-in"); // the issuer remembers, so nobody clicks or types again

  // The token is renewed ahead of its end, by a refresh token that is another each time.
  await page.clock.install();
  const anew = page.waitForResponse((each) => each.url() === `${issuer}/token`);
  await page.reload();
  await anew;
  await until(page, "signed-in");
  const used = [];
  page.on("request", (request) => {
    const refresh = new URLSearchParams(request.postData() ?? "").get("refresh_token");
    if (refresh) used.push(refresh);
  });
  for (const count of [1, 2]) {
    const answer = page.waitForResponse((each) => each.url() === `${issuer}/token`);
    await page.clock.fastForward("09:45");
    seen[`renewal${count}`] = (await answer).status();
    await pause(100);
  }
  seen.refreshTokens = new Set(used).size;
  // A refresh token that was used comes again: it and its successors are worth nothing from then on.
  const form = { grant_type: "refresh_token", refresh_token: used[0], client_id: "regulars-page" };
  const reused = await page.request.post(`${issuer}/token`, { form });
  seen.reused = [reused.status(), (await reused.json()).error];
  await page.clock.fastForward("09:45");
  await until(page, "expired");
  seen.fits.push(await widths(page, "expired"));

  await page.locator("main button").click();
  await until(page, "signed-in");
  await page.locator("button.quiet").click();
  seen.leaving = await page.locator("h1").textContent();
  seen.fits.push(await widths(page, "leaving"));
  await page.locator("button.quiet").click(); // stay: the session lives on, and the page says who that is
  await until(page, "signed-in");
  seen.stayed = [await page.locator("h1").textContent(), await page.title()];
  await page.locator("button.quiet").click();
  await page.locator("button[value=yes]").waitFor();
  await page.goBack(); // instead of an answer: signed in as before
  await until(page, "signed-in");
  await page.locator("button.quiet").click();
  await page.locator("button[value=yes]").click();
  await until(page, "signed-out");
  seen.left = await page.locator("main p").first().textContent();
  await page.locator("main button").click();
  await page.locator("#password").waitFor(); // signed out for good: the password is asked for

  // Signed out at the issuer, as by another tab: a reload says so, and asks for nothing.
  const other = await opened("en-GB");
  await signIn(other, "clerk");
  await until(other, "signed-in");
  await other.context().clearCookies();
  await other.reload();
  await until(other, "expired");
  await other.context().close();

  // A page of the issuer that was used already leads back, and who is signed in sees that.
  const back = await opened("en-GB");
  await back.locator("main button").first().click();
  await back.locator("#login").waitFor();
  const usedPage = back.url();
  await back.locator("#login").fill("clerk");
  await back.locator("#password").fill(passwords.clerk);
  await back.locator("button[type=submit]").click();
  await until(back, "signed-in");
  await back.goto(usedPage);
  seen.used = await back.locator("h1").textContent();
  seen.fits.push(await widths(back, "used"));
  await back.locator("a.button").click();
  await until(back, "signed-in");

  // Asked too often: how long to wait, and a button that goes on from there.
  await back.route("**/v1/whoami", (route) => route.fulfill({
    status: 429, headers: { "Retry-After": "7" }, contentType: "application/problem+json", body: '{"code": "rate_exceeded"}',
  }));
  await back.reload();
  await until(back, "busy");
  seen.busy = await back.locator("main p").first().textContent();
  await back.unroute("**/v1/whoami");
  await back.locator("main button").click();
  await until(back, "signed-in");

  // The server does not answer: words, and a button that tries again.
  await back.route("**/sign-in/settings.json", (route) => route.abort());
  await back.reload();
  await until(back, "failed");
  seen.unsettled = await back.locator("h1").textContent();
  await back.unroute("**/sign-in/settings.json");
  await back.locator("main button").click();
  await until(back, "signed-in");
  await back.context().close();

  // Suspended: the page says so, also after a reload, and takes another account.
  const admin = await opened("en-GB");
  const asked = admin.waitForRequest("**/v1/whoami");
  await signIn(admin, "admin");
  const headers = { authorization: (await asked).headers().authorization, "idempotency-key": "suspends" };
  await until(admin, "signed-in");
  seen.admin = await admin.locator(".facts").innerText();
  const invited = { issuer, subject: "agent", name: "刘洋", roles: ["agent"] };
  const hired = await (await admin.request.post(`${url}/v1/staff`, { headers, data: invited })).json();
  const agent = await opened("zh-CN");
  await signIn(agent, "agent");
  await until(agent, "signed-in");
  const reason = { reason: "left the company" };
  await admin.request.post(`${url}/v1/staff/${hired.staff_id}/suspensions`, { headers, data: reason });
  await agent.reload();
  await until(agent, "suspended");
  seen.suspended = await agent.locator("h1").textContent();
  seen.fits.push(await widths(agent, "suspended"));
  await agent.locator("main button").click();
  await agent.locator("button[value=yes]").click();
  await agent.locator("#login").fill("marketer"); // straight to the login page
  await agent.locator("#password").fill(passwords.marketer);
  await agent.locator("button[type=submit]").click();
  await until(agent, "signed-in");
  seen.instead = await agent.locator("h1").textContent();
  await agent.context().close();
  await admin.context().close();

  // Somebody without any rights, in English, on a phone.
  const phone = await opened("en-GB", { width: 390, height: 780 });
  await signIn(phone, "newcomer");
  await until(phone, "empty");
  seen.newcomer = await phone.locator(".empty").innerText();
  seen.fits.push(await widths(phone, "empty"));
  await phone.context().close();

  // An answer that nobody asked for, as a forged link brings it; and one whose state is another's.
  const forged = await opened("en-GB");
  await forged.goto(`${url}/sign-in?code=stolen&state=x&iss=${encodeURIComponent(issuer)}`);
  await until(forged, "failed");
  seen.forged = await forged.locator(".code").textContent();
  seen.fits.push(await widths(forged, "failed"));
  await forged.goto(`${url}/sign-in`);
  await until(forged, "signed-out");
  seen.last = await state(forged);
} catch (problem) {
  seen.problem = `${problem.message}\n${problem.stack}`;
} finally {
  await browser.close();
}
seen.requests = [...new Set(seen.requests)].sort();
console.log(JSON.stringify(seen));
