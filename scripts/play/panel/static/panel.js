// Follows a tap without reloading the page. Without it the page reloads itself.
"use strict";

const EVERY_MS = 120;
let following = 0;

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
  const sent = await post(form);
  if (sent === null) {
    form.submit();
    return;
  }
  const number = /\/taps\/(\d+)$/.exec(new URL(sent.answer.url).pathname);
  if (!sent.answer.ok || number === null) return;
  history.replaceState(null, "", `/taps/${number[1]}`);
  show(sent.page);
  if (document.documentElement.clientWidth < 1000) {
    document.getElementById("result").focus({ preventScroll: true });
    document.getElementById("trail").scrollIntoView({ block: "start" });
  }
  follow(Number(number[1]));
}

document.getElementById("tap-form").addEventListener("submit", hold);
document.querySelector(".time").addEventListener("input", () => {
  document.querySelector("input[name=when][value=at]").checked = true;
});
const current = document.querySelector(".columns");
if (current.dataset.trail && current.dataset.over !== "yes") follow(Number(current.dataset.trail));
