// Shows what happens on the reader without reloading. Without it every button still works.
"use strict";

const EVERY_MS = 250;
const view = document.querySelector("main").dataset.view;

// Puts in only the parts that differ, so that a screen reader hears what is new and an opened line stays open.
function show(page) {
  const version = page.getElementById("bar").dataset.version;
  for (const name of ["bar", "card", "row", "lost", "queue"]) {
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

// A form is sent in the background, so that the list stays as it was searched.
async function send(event) {
  const form = event.target;
  if (form.method !== "post" || form.closest(".desk-bar")) return;
  event.preventDefault();
  const sent = await post(form);
  if (sent === null) return;
  if (sent.page.getElementById("bar")) show(sent.page);
  if (form.id === "give" && sent.answer.ok) {
    form.querySelector("input[name=kind][value=card]").checked = true;
    for (const chosen of form.querySelectorAll("input[name=student]:checked")) chosen.checked = false;
  }
}

const print = document.getElementById("print");
if (print) {
  print.hidden = false;
  print.addEventListener("click", () => window.print());
} else {
  document.addEventListener("submit", send);
  follow();
}
