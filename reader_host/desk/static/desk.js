// Shows what happens on the reader without reloading, and filters the list of pupils. Without it every button still works.
"use strict";

const EVERY_MS = 250;
const view = document.querySelector("main").dataset.view;

function part(text) {
  return new DOMParser().parseFromString(text, "text/html");
}

// Puts in only the parts that differ, so that a screen reader hears what is new and an opened line stays open.
function show(page) {
  const version = page.getElementById("bar").dataset.version;
  for (const name of ["bar", "card", "row", "queue"]) {
    const [before, after] = [document.getElementById(name), page.getElementById(name)];
    if (!before || !after || before.innerHTML === after.innerHTML) continue;
    const [held, top] = [document.activeElement, before.querySelector(".row-list")?.scrollTop];
    const place = before.contains(held) ? [...before.querySelectorAll("a, button, input, select, summary")].indexOf(held) : -1;
    before.replaceWith(document.adoptNode(after));
    if (top) after.querySelector(".row-list")?.scrollTo(0, top);
    after.querySelector(".row-turn")?.scrollIntoView({ block: "nearest" });
    if (place >= 0) (after.querySelectorAll("a, button, input, select, summary")[place] ?? document.getElementById("main")).focus({ preventScroll: true });
  }
  document.getElementById("bar").dataset.version = version;
  const laid = document.getElementById("laid");
  if (laid) laid.value = document.getElementById("card").dataset.laid;
}

async function look() {
  const seen = document.getElementById("bar").dataset.version;
  const answer = await fetch(`/live/${view}?seen=${seen}`, { cache: "no-store" }).catch(() => null);
  document.getElementById("gone").hidden = answer !== null;
  if (answer !== null && answer.status === 200) show(part(await answer.text()));
}

async function follow() {
  for (;;) {
    await look();
    await new Promise((wake) => setTimeout(wake, EVERY_MS));
  }
}

// A form is sent in the background, so that the list stays as it was searched; a problem stands beside the button.
async function send(event) {
  const form = event.target;
  if (form.method !== "post" || form.closest(".bar")) return;
  event.preventDefault();
  const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) }).catch(() => null);
  if (answer === null) return;
  const page = part(await answer.text());
  const problem = page.getElementById("problem");
  if (problem) document.getElementById("problem")?.replaceChildren(...problem.childNodes);
  if (page.getElementById("bar")) show(page);
  if (form.id === "give" && answer.ok) {
    form.querySelector("input[name=kind][value=card]").checked = true;
    for (const chosen of form.querySelectorAll("input[name=student]:checked")) chosen.checked = false;
  }
}

function search() {
  const words = document.getElementById("search").value.toLocaleLowerCase().replaceAll("ё", "е").split(/[\s«»,]+/).filter(Boolean);
  let seen = 0;
  for (const group of document.querySelectorAll(".pupils-class")) {
    const name = group.querySelector(".pupils-name").textContent.replace(/[\s«»]/g, "");
    let inside = 0;
    for (const pupil of group.querySelectorAll(".pupil")) {
      const text = `${pupil.textContent} ${name}`.toLocaleLowerCase().replaceAll("ё", "е");
      pupil.hidden = !words.every((word) => text.includes(word));
      inside += pupil.hidden ? 0 : 1;
    }
    group.hidden = inside === 0;
    seen += inside;
  }
  document.getElementById("nobody").hidden = seen > 0 || document.querySelector(".pupils-class") === null;
}

function choose(event) {
  if (event.key !== "Enter" && event.key !== "ArrowDown") return;
  event.preventDefault();
  const first = [...document.querySelectorAll(".pupils-class .pupil:not([hidden]) input")].find((each) => each.offsetParent !== null);
  if (first) {
    first.checked = true;
    first.focus();
  }
}

const field = document.getElementById("search");
if (field) {
  document.getElementById("search-field").hidden = false;
  field.addEventListener("input", search);
  field.addEventListener("keydown", choose);
}
const print = document.getElementById("print");
if (print) {
  print.hidden = false;
  print.addEventListener("click", () => window.print());
} else {
  document.addEventListener("submit", send);
  follow();
}
if (location.search.includes("token=")) history.replaceState(null, "", location.pathname);
