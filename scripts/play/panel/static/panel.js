// Follows a tap without reloading the page, and filters the list of pupils. Without it the page reloads itself.
"use strict";

const EVERY_MS = 120;
let following = 0;

function part(text) {
  return new DOMParser().parseFromString(text, "text/html");
}

// Puts in only the columns that differ, so that a screen reader hears what is new and nothing else moves.
function show(page) {
  const line = page.getElementById("trail-line");
  document.getElementById("trail-line").replaceWith(document.adoptNode(line));
  const [offered, before] = [page.getElementById("void"), document.getElementById("void")];
  if (before.outerHTML !== offered.outerHTML) before.replaceWith(document.adoptNode(offered));
  Object.assign(document.querySelector(".columns").dataset, page.querySelector(".columns").dataset);
  for (const column of page.querySelectorAll(".column")) {
    const before = document.getElementById(column.id);
    if (before.outerHTML.replace(" column-changed", "") !== column.outerHTML) {
      column.classList.add("column-changed");
      before.replaceWith(document.adoptNode(column));
    }
  }
}

async function follow(number) {
  following = number;
  while (following === number) {
    const answer = await fetch(`/taps/${number}/columns`, { cache: "no-store" }).catch(() => null);
    if (answer !== null && answer.ok && following === number) {
      const page = part(await answer.text());
      const isOver = page.querySelector(".columns").dataset.over === "yes";
      show(page);
      if (isOver) return;
    } else if (answer !== null) return;
    await new Promise((wake) => setTimeout(wake, EVERY_MS));
  }
}

async function hold(event) {
  event.preventDefault();
  const form = event.currentTarget;
  const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) }).catch(() => null);
  if (answer === null) {
    form.submit();
    return;
  }
  const page = part(await answer.text());
  const problem = page.getElementById("problem");
  document.getElementById("problem").replaceChildren(...(problem ? problem.childNodes : []));
  const number = /\/taps\/(\d+)$/.exec(new URL(answer.url).pathname);
  if (!answer.ok || number === null) return;
  history.replaceState(null, "", `/taps/${number[1]}`);
  show(page);
  if (document.documentElement.clientWidth < 1000) {
    document.getElementById("result").focus({ preventScroll: true });
    document.getElementById("trail").scrollIntoView({ block: "start" });
  }
  follow(Number(number[1]));
}

function search() {
  const words = document.getElementById("search").value.toLocaleLowerCase().replaceAll("ё", "е").split(/[\s«»,]+/).filter(Boolean);
  let seen = 0;
  for (const group of document.querySelectorAll(".pupils-class")) {
    const name = group.querySelector(".pupils-name").textContent.replace(/[\s«»]/g, "");
    let inside = 0;
    for (const row of group.querySelectorAll(".pupil")) {
      const text = `${row.textContent} ${name}`.toLocaleLowerCase().replaceAll("ё", "е");
      row.hidden = !words.every((word) => text.includes(word));
      inside += row.hidden ? 0 : 1;
    }
    group.hidden = inside === 0;
    seen += inside;
  }
  document.getElementById("nobody").hidden = seen > 0 || document.querySelector(".pupils-class") === null;
}

document.getElementById("tap-form").addEventListener("submit", hold);
document.getElementById("search-field").hidden = false;
document.getElementById("search").addEventListener("input", search);
document.getElementById("search").addEventListener("keydown", (event) => {
  if (event.key === "Enter") event.preventDefault();
  if (event.key === "Enter" || event.key === "ArrowDown") {
    const first = [...document.querySelectorAll(".pupils-class .pupil:not([hidden]) input")].find((each) => each.offsetParent !== null);
    if (first) {
      event.preventDefault();
      first.checked = true;
      first.focus();
    }
  }
});
document.querySelector(".time").addEventListener("input", () => {
  document.querySelector("input[name=when][value=at]").checked = true;
});
if (location.search.includes("token=")) history.replaceState(null, "", location.pathname);
const current = document.querySelector(".columns");
if (current.dataset.trail && current.dataset.over !== "yes") follow(Number(current.dataset.trail));
