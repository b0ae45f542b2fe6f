"use strict";
// The page works without this file; with it tiles and logs are live.
const lost = document.getElementById("lost");

function say(isLost) {
  lost.textContent = document.body.dataset.lost;
  lost.hidden = !isLost;
}

const session = new AbortController(); // what is asked in one session is not waited for after it

function signedOut() {
  session.abort();
  location.reload(); // the server leads whoever has no session to the page where he signs in
}

async function ask(path) {
  const answer = await fetch(path, { signal: session.signal, redirect: "error" });
  if (answer.status === 401) signedOut();
  if (!answer.ok) throw new Error(answer.statusText);
  return answer.json();
}

addEventListener("pagehide", () => session.abort());
document.querySelector("form[action='/web/logout']")?.addEventListener("submit", () => session.abort());

const live = document.querySelector("[data-live]");

function follow() {
  const source = new EventSource(live.dataset.live);
  session.signal.addEventListener("abort", () => source.close());
  source.onopen = () => say(false);
  source.onerror = async () => {
    try {
      await ask("/web/state.json"); // a stream does not tell a session that has ended from a server that has
    } catch {
      if (!session.signal.aborted) say(true);
    }
    // Where the answer was no stream the browser gives up.
    if (source.readyState === EventSource.CLOSED && !session.signal.aborted) setTimeout(follow, 2000);
  };
  source.addEventListener("tiles", (event) => {
    const { tiles, alerts } = JSON.parse(event.data);
    const count = document.getElementById("alerts");
    count.textContent = alerts;
    count.hidden = !alerts;
    for (const { id, html } of tiles) {
      const old = document.getElementById(id);
      if (!old) continue;
      // A link that has the focus keeps it.
      const focused = old.contains(document.activeElement);
      const made = document.createElement("template");
      made.innerHTML = html; // the server's own template, escaped there
      const fresh = made.content.firstElementChild;
      old.replaceWith(fresh);
      if (focused) fresh.querySelector("a").focus();
    }
  });
}

if (live) follow();

const log = document.getElementById("log");
if (log) {
  const search = document.getElementById("search");
  let text = log.textContent;
  let offset = Number(log.dataset.offset);
  const show = () => {
    const word = search.value.toLowerCase();
    const atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 30;
    log.textContent = word ? text.split("\n").filter((line) => line.toLowerCase().includes(word)).join("\n") : text;
    if (atEnd) log.scrollTop = log.scrollHeight;
  };
  let wait = 500;
  const read = async () => {
    try {
      if (!document.hidden) {
        const part = await ask(log.dataset.log + "&offset=" + offset);
        document.getElementById("live").hidden = false;
        if (part.text) {
          text = (text + part.text).slice(-500000);
          show();
        }
        offset = part.offset;
        wait = 500;
      }
    } catch {
      document.getElementById("live").hidden = true;
      wait = Math.min(2 * wait, 8000);
    }
    if (!session.signal.aborted) setTimeout(read, wait);
  };
  search.addEventListener("input", show);
  log.scrollTop = log.scrollHeight;
  read();
}

const candles = document.getElementById("candles");
if (candles) {
  const words = candles.dataset.words.split(",");
  const bar = document.getElementById("bar");
  const bars = [...candles.querySelectorAll("[data-bar]")];
  const tell = (one) => {
    const [time, ...values] = one.dataset.bar.split(",");
    bar.textContent = time + "  " + values.map((v, i) => (v ? words[i] + " " + v : "")).join("  ");
  };
  tell(bars[bars.length - 1]);
  candles.addEventListener("pointermove", (event) => {
    const box = candles.getBoundingClientRect();
    const at = ((event.clientX - box.left) / box.width) * candles.viewBox.baseVal.width;
    const near = bars.map((b) => Math.abs(b.firstElementChild.x1.baseVal.value - at));
    tell(bars[near.indexOf(Math.min(...near))]);
  });
}
