// What the scripts of local pages share: a form that is sent in the background, and the search for a pupil.
"use strict";

function part(text) {
  return new DOMParser().parseFromString(text, "text/html");
}

// {answer, page} of a form, or null when nobody answers; a problem stands beside the button, the form stays as it was.
async function post(form) {
  const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) }).catch(() => null);
  if (answer === null) return null;
  const page = part(await answer.text());
  document.getElementById("problem")?.replaceChildren(...(page.getElementById("problem")?.childNodes ?? []));
  return { answer, page };
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

const searched = document.getElementById("search");
if (searched) {
  document.getElementById("search-field").hidden = false;
  searched.addEventListener("input", search);
  searched.addEventListener("keydown", choose);
}
if (location.search.includes("token=")) history.replaceState(null, "", location.pathname);
