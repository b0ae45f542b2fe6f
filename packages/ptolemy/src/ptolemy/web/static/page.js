"use strict";
// The page works without this file; with it tiles and logs are live.
const lost = document.getElementById("lost");

function say(isLost) {
  lost.textContent = document.body.dataset.lost;
  lost.hidden = !isLost;
}

const live = document.querySelector("[data-live]");
if (live) {
  const source = new EventSource(live.dataset.live);
  source.onopen = () => say(false);
  source.onerror = () => say(true);
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
  addEventListener("pagehide", () => source.close());
}

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
  const ask = async () => {
    try {
      if (!document.hidden) {
        const answer = await fetch(log.dataset.log + "&offset=" + offset, { redirect: "error" });
        if (answer.ok) {
          const part = await answer.json();
          document.getElementById("live").hidden = false;
          if (part.text) {
            text = (text + part.text).slice(-500000);
            show();
          }
          offset = part.offset;
        }
      }
    } catch {
      document.getElementById("live").hidden = true;
    }
    setTimeout(ask, 500);
  };
  search.addEventListener("input", show);
  log.scrollTop = log.scrollHeight;
  ask();
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
