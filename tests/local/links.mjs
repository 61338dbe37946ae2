// Presses the buttons of the pages behind a message's links, as a member does, and says in JSON what it saw.
//
//   node tests/local/links.mjs CHROMIUM OPT-OUT PREFERENCES ZH|EN JS|NO-JS [FOLDER for screenshots]

import { chromium } from "playwright-core";

const [executablePath, optOut, preferences, locale, js, folder] = process.argv.slice(2);
const seen = { fits: [], posts: 0, console: [] };
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
const context = await browser.newContext({ locale, javaScriptEnabled: js === "js" });
const page = await context.newPage();
page.setDefaultTimeout(10_000);
page.on("console", (message) => seen.console.push(`${message.type()}: ${message.text()}`));
page.on("request", (request) => (seen.posts += request.method() === "POST"));

async function widths(name) {
  for (const width of [1280, 390]) {
    await page.setViewportSize({ width, height: 800 });
    if (width === 390) seen.fits.push(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
    if (folder) await page.screenshot({ path: `${folder}/${locale}-${name}-${width}.png`, fullPage: true });
  }
}

const title = async () => (await page.title()).split(" · ")[0];
const told = () => page.locator("[role=status]").textContent();
const states = () => page.locator(".on, .off").evaluateAll((all) => all.map((each) => each.className).join(" "));

try {
  await page.goto(optOut);
  seen.asks = await title();
  await widths("opt-out");
  await page.locator("button.do").click();
  seen.done = await title();
  await widths("opted-out");
  await page.reload();
  seen.reloaded = [await title(), seen.posts];
  await page.locator(".turn a").click();
  seen.turned = await title();
  await page.goto(optOut);
  seen.anew = await title(); // what was done is looked at only when it is asked for

  await page.goto(preferences);
  await widths("preferences");
  seen.before = await states();
  const first = () => page.locator("section form button").first();
  await first().click();
  seen.first = [await told(), await states()];
  await widths("saved");
  await first().click();
  seen.second = [await told(), await states()];
  const pressed = seen.posts;
  await page.reload();
  seen.again = [await states(), seen.posts - pressed];
  await page.goBack();
  seen.back = [await told(), seen.posts - pressed]; // it says how things are now, not how they were
  await page.locator("button.all").click();
  seen.all = [await told(), await states()];
  for (const [name, where] of [["lost", new URL("/v1/opt-outs/", optOut)], ["nothing", new URL("/nothing", optOut)]]) {
    await page.goto(String(where));
    seen[name] = await page.locator("h1").first().textContent();
    await widths(name);
  }
} catch (problem) {
  seen.problem = `${problem.message}\n${problem.stack}`;
} finally {
  await browser.close();
}
console.log(JSON.stringify(seen));
