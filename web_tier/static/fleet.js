import { ApiError, fleet, keyEvents } from "./api.js";
import { chart, WINDOW_SECONDS } from "./charts.js";
import { byId, duration, el, plural, sleep } from "./dom.js";

const POLL_SECONDS = 1;
const LONGEST_BACKOFF_SECONDS = 30;
// A poll that hangs is worth as little as one that fails.
const TIMEOUT_SECONDS = 10;

const listeners = new Set();
let snapshot = null;
let samples = [];
let wakeUp = new AbortController();

/** What the fleet said last; null before its first word and while it does not answer. */
export const latest = () => snapshot;

/** Calls back after every poll; returns what stops that. */
export function onFleet(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Polls for as long as the page lives; rests while nobody looks at it. */
export async function watch() {
  const charts = {
    queue: chart(byId("queue-chart"), { areas: ["in_flight", "visible"] }),
    fleet: chart(byId("fleet-chart"), { areas: ["running", "pending", "draining", "stopping"], lines: ["max", "desired"] }),
  };
  for (const [target, kind] of [[document, "visibilitychange"], [keyEvents, "changed"]]) target.addEventListener(kind, () => wakeUp.abort());
  keyEvents.addEventListener("needed", () => live("failed", "An API key is needed"));
  let failures = 0;
  for (;;) {
    failures = (await poll(charts)) ? 0 : failures + 1;
    await rest(failures);
  }
}

async function poll(charts) {
  try {
    snapshot = await fleet({ timeout: TIMEOUT_SECONDS });
    render(snapshot, charts);
    return true;
  } catch (error) {
    snapshot = null;
    if (!(error instanceof ApiError)) console.error(error);
    // A refusal has words of its own; silence and a broken service look alike from here.
    live("failed", error.status === 403 ? error.message : "Service does not answer");
    return false;
  } finally {
    listeners.forEach((listener) => listener());
  }
}

async function rest(failures) {
  const seconds = failures === 0 ? POLL_SECONDS : Math.min(LONGEST_BACKOFF_SECONDS, 2 ** failures);
  wakeUp = new AbortController();
  await sleep(seconds, wakeUp.signal);
  while (document.hidden) {
    wakeUp = new AbortController();
    await sleep(3600, wakeUp.signal);
  }
}

function live(state, words) {
  const node = byId("fleet-live");
  node.dataset.state = state;
  // Written only when it changes, or a screen reader would say it every second.
  if (node.textContent !== words) node.textContent = words;
}

function render({ queue, instances, desired, max, oldest, reason, workers, policy, cost }, charts) {
  const now = Date.now() / 1000;
  const sample = { time: now, ...queue, ...instances, desired: desired ?? 0, max: max ?? 0 };
  samples = [...samples.filter(({ time }) => now - time <= WINDOW_SECONDS), sample];
  const shown = { ...sample, oldest: oldest == null ? null : duration(oldest) };
  for (const node of document.querySelectorAll("[data-fleet]")) node.textContent = shown[node.dataset.fleet] ?? "–";
  charts.queue(samples, now);
  charts.fleet(samples, now);
  byId("fleet-reason").textContent = reason ?? "";
  renderDead(queue.dead);
  renderPolicy(policy, cost);
  renderWorkers(workers ?? []);
  live("live", "Live");
}

function renderDead(dead) {
  const note = byId("dead-note");
  const words = dead > 0 ? `${plural(dead, "message")} failed repeatedly: look at the dead letters.` : "";
  note.hidden = dead === 0;
  document.querySelector("[data-fleet=dead]").classList.toggle("bad", dead > 0);
  if (note.textContent !== words) note.textContent = words;
}

function renderPolicy(policy, cost) {
  const note = byId("fleet-policy");
  note.hidden = policy == null;
  note.textContent = cost > 0 ? `Policy ${policy}, cost so far ${cost.toFixed(4)}` : `Policy ${policy}`;
}

function renderWorkers(workers) {
  const body = byId("workers");
  const rows = workers.map(({ id, state, jobs }) => el("tr", {},
    el("td", { class: "id", title: id }, id),
    el("td", {}, el("span", { class: "state", "data-state": state }, state)),
    el("td", { class: "number" }, `${jobs}`)));
  if (rows.length === 0) rows.push(el("tr", {}, el("td", { colspan: 3, class: "hint" }, "No worker is running. One starts when a photo arrives.")));
  // Left alone while nothing changes, so that text can be selected.
  if (body.textContent !== rows.map((row) => row.textContent).join("")) body.replaceChildren(...rows);
}
