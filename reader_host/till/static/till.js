// The till's page in one window: it shows what the program says, sends what a finger does, and sounds. It keeps
// nothing: a reload, a second window and a killed browser change nothing. No node under a finger is replaced.
"use strict";

const SCAN_MS = 500; // a scanner types faster; digits mean nothing else here
const SCAN_LENGTH = 6;
const RETRY_MS = 500;
const live = document.getElementById("live");
const side = () => document.getElementById("side");
let tab = new URLSearchParams(location.search).get("tab") ?? "";
let sending = Promise.resolve();
let asking = null;

// Makes `before` like `after` and keeps every node that is of the same kind: a press that is under way stays one.
function follow(before, after) {
  for (const { name } of [...before.attributes]) if (!after.hasAttribute(name)) before.removeAttribute(name);
  for (const { name, value } of after.attributes) if (before.getAttribute(name) !== value) before.setAttribute(name, value);
  const [old, fresh] = [[...before.childNodes], [...after.childNodes]];
  for (let at = 0; at < Math.max(old.length, fresh.length); at += 1) {
    const [one, other] = [old[at], fresh[at]];
    if (!other) one.remove();
    else if (!one) before.append(document.adoptNode(other));
    else if (one.nodeName !== other.nodeName || (one.id ?? "") !== (other.id ?? "") || one.action !== other.action) one.replaceWith(document.adoptNode(other));
    else if (one.nodeType === Node.TEXT_NODE) {
      if (one.data !== other.data) one.data = other.data;
    } else if (one.nodeType === Node.ELEMENT_NODE) follow(one, other);
  }
}

function show(text) {
  const page = new DOMParser().parseFromString(text, "text/html");
  const fresh = page.getElementById("side");
  if (fresh === null || Number(fresh.dataset.version) < Number(side().dataset.version)) return;
  const sounds = side().dataset.sounds;
  const body = page.createElement("div");
  body.id = "live";
  body.className = live.className;
  body.append(...page.body.childNodes);
  follow(live, body);
  if (side().dataset.sounds !== sounds) sound(side().dataset.sound);
}

// One command after the other, each with what is seen when it goes.
function send(form) {
  const action = form.action;
  const values = Object.fromEntries(new FormData(form));
  sending = sending.then(async () => {
    if ("revision" in values) values.revision = side().dataset.revision;
    const body = new URLSearchParams({ ...values, tab, part: "yes" });
    const answer = await fetch(action, { method: "POST", body }).catch(() => null);
    if (answer?.ok) show(await answer.text());
  });
}

async function listen() {
  for (;;) {
    asking = new AbortController();
    const query = new URLSearchParams({ seen: side().dataset.version, tab });
    const answer = await fetch(`/live?${query}`, { cache: "no-store", signal: asking.signal }).catch(() => null);
    const text = answer?.ok ? await answer.text().catch(() => null) : null;
    if (text !== null) show(text);
    else if (!asking.signal.aborted) await new Promise((wake) => setTimeout(wake, RETRY_MS));
  }
}

async function turn(key) {
  tab = key;
  const answer = await fetch(`/live?${new URLSearchParams({ seen: 0, tab })}`, { cache: "no-store" }).catch(() => null);
  if (answer?.ok) show(await answer.text());
  asking?.abort();
}

// Served: 660 then 880 Hz; all else 440 Hz; as long and as loud.
let audio = null;
function wake() {
  audio ??= new AudioContext();
  if (audio.state === "suspended") audio.resume();
}
function sound(kind) {
  if (audio === null) return;
  const start = audio.currentTime;
  const gain = audio.createGain();
  gain.gain.value = 0.2;
  gain.connect(audio.destination);
  const tone = audio.createOscillator();
  tone.frequency.setValueAtTime(kind === "served" ? 660 : 440, start);
  if (kind === "served") tone.frequency.setValueAtTime(880, start + 0.09);
  tone.connect(gain);
  tone.start(start);
  tone.stop(start + 0.18);
}

let scanned = "";
let scannedAt = 0;
function key(event) {
  wake();
  const isFast = event.timeStamp - scannedAt < SCAN_MS;
  if (/^[0-9]$/.test(event.key)) {
    scanned = isFast ? scanned + event.key : event.key;
    scannedAt = event.timeStamp;
    return;
  }
  if (event.key === "Enter" && isFast && scanned.length >= SCAN_LENGTH) {
    event.preventDefault();
    const form = document.createElement("form");
    form.action = "/do/scan";
    form.innerHTML = '<input name="code">';
    form.firstChild.value = scanned;
    scanned = "";
    send(form);
    return;
  }
  scanned = "";
  const isOnButton = document.activeElement?.matches?.("button, a") ?? false;
  let wanted = null;
  if (/^F([1-9]|1[0-2])$/.test(event.key)) wanted = `[data-key="${event.key}"]`;
  else if (event.key === "Escape") wanted = "[data-escape]";
  else if (event.key === "Enter" && !isOnButton) wanted = "[data-enter]";
  if (wanted === null || event.repeat) return;
  event.preventDefault();
  // What lies over the basket comes last in the page and goes first.
  const found = [...document.querySelectorAll(wanted)].at(-1);
  if (found && !found.disabled && found.getAttribute("aria-disabled") !== "true") send(found.form);
}

document.addEventListener("submit", (event) => {
  if (!event.target.classList.contains("act")) return;
  event.preventDefault();
  if (event.submitter?.getAttribute("aria-disabled") !== "true") send(event.target);
});
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("[data-tab]");
  if (link) {
    event.preventDefault();
    turn(link.dataset.tab);
  }
  // A finger leaves no focus behind, so that Enter is Charge and not the last tile again.
  if (event.detail > 0) document.activeElement?.blur();
});
document.addEventListener("pointerdown", wake);
document.addEventListener("keydown", key);
listen();
