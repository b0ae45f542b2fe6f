"use strict";

const CHINESE = {
  "Flows": "流程", "Run": "运行", "Runs": "运行记录", "Cancel": "取消", "Resume": "继续", "Unit": "单元", "State": "状态",
  "Seconds": "秒", "Tries": "次数", "Rows": "行数", "Reason": "原因", "Log": "日志", "Close": "关闭", "Engine": "引擎",
  "Started": "开始于", "Token": "令牌", "Sign in": "登录", "Sign out": "退出", "This server asks for a token.": "此服务器需要令牌。",
  "This is no valid token.": "该令牌无效。", "The connection is lost; it is tried again.": "连接已断开，正在重试。",
  "The log is empty.": "日志为空。", "light": "浅色", "dark": "深色", "auto": "自动",
  "declared": "已声明", "queued": "排队中", "running": "运行中", "up_for_retry": "等待重试", "succeeded": "成功", "cached": "取自缓存",
  "failed": "失败", "skipped": "已跳过", "cancelled": "已取消",
};
const OVER = new Set(["succeeded", "failed", "cancelled"]);
const $ = (id) => document.getElementById(id);
const now = { flow: null, run: null, stream: null, states: {}, unit: null, offset: 0, reading: null };

function kept(name, value) {
  try {
    if (value !== undefined) localStorage.setItem(`kyrios.${name}`, value);
    return localStorage.getItem(`kyrios.${name}`);
  } catch { return null; } // a browser may keep nothing
}

let language = kept("language") || (navigator.language.startsWith("zh") ? "zh" : "en");
let theme = kept("theme") || "auto";
const word = (text) => (language === "zh" && CHINESE[text]) || text;

function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

function say(text) { $("said").textContent = text || ""; $("said").hidden = !text; }

let session = new AbortController(); // what is asked in one session is not waited for after it

async function ask(method, path, body) {
  const options = { method, signal: session.signal };
  if (body !== undefined) Object.assign(options, { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  const answer = await fetch(path, options);
  if (answer.status === 401) { signedOut(); throw new Error(word("This server asks for a token.")); }
  const found = await answer.json();
  if (!answer.ok) throw new Error([found.error, found.hint].filter(Boolean).join(" · "));
  return found;
}

function trying(work) {
  return async (event) => {
    if (event && event.preventDefault) event.preventDefault();
    try { say(""); await work(event); } catch (error) { if (error.name !== "AbortError") say(error.message); }
  };
}

function dress() {
  document.documentElement.lang = language;
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  for (const found of document.querySelectorAll("[data-word]")) found.textContent = word(found.dataset.word);
  $("language").textContent = language === "zh" ? "English" : "中文";
  $("theme").textContent = word(theme);
  showStates();
}

function signedOut() { $("inside").hidden = true; $("leave").hidden = true; $("login").hidden = false; $("token").focus(); }

async function enter() {
  const health = await ask("GET", "/healthz");
  if (health.tokens === "required" && !health.admitted) { signedOut(); return; }
  $("login").hidden = true; $("inside").hidden = false; $("leave").hidden = health.tokens !== "required";
  await route();
}

async function showFlows() {
  const flows = await ask("GET", "/flows");
  $("flows").replaceChildren(...flows.map((flow) => {
    const link = element("a", { href: `#/flows/${flow.name}`, title: flow.summary || "" }, flow.name);
    if (flow.name === now.flow?.name) link.setAttribute("aria-current", "page");
    return element("li", flow.usable ? {} : { class: "broken" }, link);
  }));
  return flows;
}

async function route() {
  const [, kind, name] = location.hash.split("/").map(decodeURIComponent);
  stop();
  if (kind === "runs" && name) {
    const run = await ask("GET", `/runs/${encodeURIComponent(name)}`);
    const flows = await ask("GET", "/flows");
    const home = flows.find((flow) => flow.flow === run.flow);
    if (home) await showFlow(home.name);
    await showFlows();
    await showRun(run);
  } else {
    const flows = await showFlows();
    const wanted = kind === "flows" && name ? name : flows[0]?.name;
    if (wanted) { await showFlow(wanted); await showFlows(); showNoRun(); }
  }
}

async function showFlow(name) {
  if (now.flow?.name !== name) {
    now.flow = await ask("GET", `/flows/${encodeURIComponent(name)}`);
    $("name").textContent = now.flow.flow || now.flow.name;
    $("summary").textContent = now.flow.summary || "";
    $("problems").replaceChildren(...now.flow.problems.map((p) => element("li", {}, `${p.file}:${p.line}:${p.column}: ${p.message}`)));
    $("params").replaceChildren(...Object.entries(now.flow.params?.properties || {}).map(([key, kind]) => {
      const value = kind.default === undefined ? "" : typeof kind.default === "string" ? kind.default : JSON.stringify(kind.default);
      return element("label", {}, key, element("input", { name: key, value, "data-type": kind.type || "", "data-value": value }));
    }));
    $("order").hidden = !now.flow.usable || Boolean(now.flow.every);
    $("graph").replaceChildren();
    if (now.flow.usable) await draw(name);
  }
  $("flow").hidden = false;
  await showRuns();
}

async function draw(name) {
  const text = await (await fetch(`/flows/${encodeURIComponent(name)}/graph.svg`, { signal: session.signal })).text();
  const drawn = document.importNode(new DOMParser().parseFromString(text, "image/svg+xml").documentElement, true);
  for (const unit of drawn.querySelectorAll(".unit")) unit.addEventListener("click", () => openLog(unit.dataset.unit));
  $("graph").replaceChildren(drawn);
}

async function showRuns() {
  if (!now.flow?.flow) { $("runs").replaceChildren(); return; }
  const runs = await ask("GET", `/runs?limit=20&flow=${encodeURIComponent(now.flow.flow)}`);
  $("runs").replaceChildren(...runs.map((run) => element("tr", {},
    element("td", {}, element("a", { href: `#/runs/${run.run}` }, run.run)), element("td", { class: `state-${run.state}`, "data-state": run.state }, word(run.state)),
    element("td", {}, run.engine), element("td", {}, (run.started || run.created).slice(0, 19).replace("T", " ")),
    element("td", { class: "number" }, run.seconds === null ? "" : run.seconds.toFixed(2)))));
}

function showNoRun() {
  now.run = null; now.states = {};
  $("asked").hidden = true; $("reading").hidden = true;
  showStates();
}

async function showRun(run) {
  now.run = run;
  now.states = { "": run.state };
  for (const unit of run.units) now.states[unit.unit] = unit.state;
  for (const input of $("params").querySelectorAll("input")) {
    const value = run.params[input.name];
    if (value !== undefined && value !== null) input.value = typeof value === "string" ? value : JSON.stringify(value);
  }
  showUnits();
  showStates();
  if (!OVER.has(run.state)) follow(run);
}

function showUnits() {
  $("asked").hidden = false;
  $("units").replaceChildren(...now.run.units.map((unit) => element("tr", {},
    element("td", {}, element("button", { type: "button", click: () => openLog(unit.unit) }, unit.unit)),
    element("td", { "data-unit": unit.unit, class: `state-${unit.state}` }, word(unit.state)),
    element("td", { class: "number" }, unit.seconds === null ? "" : unit.seconds.toFixed(3)),
    element("td", { class: "number" }, unit.attempts ? String(unit.attempts) : ""),
    element("td", { class: "number" }, unit.outputs.map((output) => output.rows).join(", ")),
    element("td", {}, unit.error || unit.reason || ""))));
}

function showStates() {
  const run = now.states[""];
  $("state").textContent = run ? word(run) : "";
  $("state").className = run ? `state-${run}` : "";
  $("state").dataset.state = run || "";
  $("cancel").hidden = !now.run || OVER.has(run);
  $("resume").hidden = !now.run || !(run === "failed" || run === "cancelled");
  for (const unit of $("graph").querySelectorAll(".unit")) {
    const state = now.states[unit.dataset.unit] || "declared";
    unit.setAttribute("class", `unit state-${state}`);
    unit.querySelector(".note").textContent = now.run ? word(state) : "";
  }
  for (const cell of $("units").querySelectorAll("[data-unit]")) {
    const state = now.states[cell.dataset.unit] || "declared";
    cell.className = `state-${state}`; cell.textContent = word(state);
  }
  for (const cell of $("runs").querySelectorAll("[data-state]")) cell.textContent = word(cell.dataset.state);
}

let waiting = false;
function soon() { // a flow of a thousand units says more than a screen can show
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; showStates(); });
}

function follow(run) {
  const id = run.run;
  const stream = now.stream = new EventSource(`/runs/${encodeURIComponent(id)}/events?after=${run.events}`);
  stream.addEventListener("step", (event) => {
    say("");
    const step = JSON.parse(event.data);
    now.states[step.unit] = step.state;
    soon();
  });
  stream.addEventListener("end", trying(async () => {
    stop();
    now.run = await ask("GET", `/runs/${encodeURIComponent(id)}`);
    await showRun(now.run);
    await showRuns();
    await readLog();
  }));
  stream.addEventListener("error", () => { if (now.stream === stream) say(word("The connection is lost; it is tried again.")); });
}

function stop() { now.stream?.close(); now.stream = null; }

async function openLog(unit) {
  if (!now.run) return;
  now.unit = unit; now.offset = 0;
  $("unit").textContent = unit; $("log").textContent = ""; $("reading").hidden = false;
  clearInterval(now.reading);
  now.reading = setInterval(() => { if (now.stream) readLog(); }, 1000);
  await trying(readLog)();
  if (!$("log").textContent) $("log").textContent = word("The log is empty.");
}

async function readLog() {
  if (!now.unit || !now.run || $("reading").hidden) return;
  const path = `/runs/${encodeURIComponent(now.run.run)}/logs/${encodeURIComponent(now.unit)}`;
  for (;;) {
    const part = await ask("GET", `${path}?offset=${now.offset}`);
    if (!part.text) return;
    if (!now.offset) $("log").textContent = "";
    now.offset = part.offset;
    $("log").append(part.text);
    if (part.offset >= part.size) return;
  }
}

function given() {
  const params = {};
  for (const input of $("params").querySelectorAll("input")) {
    if (input.value === input.dataset.value) continue;
    let value = input.value;
    if (input.dataset.type !== "string") { try { value = JSON.parse(value); } catch { /* a text after all */ } }
    params[input.name] = value;
  }
  return params;
}

$("order").addEventListener("submit", trying(async () => {
  $("run").disabled = true;
  try {
    const run = await ask("POST", `/flows/${encodeURIComponent(now.flow.name)}/runs`, { params: given() });
    location.hash = `#/runs/${run.run}`;
  } finally { $("run").disabled = false; }
}));
$("cancel").addEventListener("click", trying(() => ask("POST", `/runs/${encodeURIComponent(now.run.run)}/cancel`, {})));
$("resume").addEventListener("click", trying(async () => {
  const id = now.run.run;
  now.run = await ask("POST", `/runs/${encodeURIComponent(id)}/resume`, {});
  now.states[""] = "queued"; showStates(); follow(now.run);
}));
$("close").addEventListener("click", () => { $("reading").hidden = true; now.unit = null; clearInterval(now.reading); });
$("language").addEventListener("click", () => { language = language === "zh" ? "en" : "zh"; kept("language", language); dress(); });
$("theme").addEventListener("click", () => {
  theme = { auto: "dark", dark: "light", light: "auto" }[theme]; kept("theme", theme); dress();
});
$("login").addEventListener("submit", trying(async () => {
  const answer = await fetch("/login", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ token: $("token").value }) });
  $("token").value = "";
  if (!answer.ok) throw new Error(word("This is no valid token."));
  await enter();
}));
$("leave").addEventListener("click", trying(async () => {
  stop();
  session.abort();
  session = new AbortController();
  signedOut();
  await ask("POST", "/logout", {});
}));
window.addEventListener("hashchange", trying(route));
dress();
trying(enter)();
