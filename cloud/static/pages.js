/* Small comforts on top of pages that work without them: today renews itself, "send again" counts down,
   a form is not sent twice. Nothing here decides anything. */
"use strict";

(() => {
  // The part of the page that renews itself; forms stay outside of it, so nothing typed is lost.
  const live = document.querySelector("[data-refresh]");

  function sameContent(fresh) {
    const plain = (node) => {
      const copy = node.cloneNode(true);
      copy.querySelectorAll(".fresh, .stale").forEach((part) => part.remove());
      return copy.innerHTML;
    };
    return plain(live) === plain(fresh);
  }

  function takeTimes(fresh) {
    for (const name of [".fresh", ".stale"]) {
      const here = live.querySelector(name);
      const there = fresh.querySelector(name);
      if (here && there) here.textContent = there.textContent;
    }
  }

  async function renew() {
    if (document.hidden) return;
    try {
      // The header says that nobody asked for it: a page left open does not keep a session alive.
      const answer = await fetch(location.href, { redirect: "error", headers: { "X-Renew": "1" } });
      if (!answer.ok) throw new Error(String(answer.status));
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById(live.id);
      live.classList.remove("is-stale");
      if (!fresh || sameContent(fresh)) {
        if (fresh) takeTimes(fresh);
        return;
      }
      const active = document.activeElement;
      const focused = live.contains(active) ? active.getAttribute("href") : null;
      live.replaceChildren(...fresh.childNodes);
      live.classList.add("changed");
      setTimeout(() => live.classList.remove("changed"), 300);
      if (focused) live.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
    } catch {
      live.classList.add("is-stale");
    }
  }

  const every = Number(live?.dataset.refresh || 0);
  if (every > 0) {
    setInterval(renew, every * 1000);
    document.addEventListener("visibilitychange", renew);
    window.addEventListener("online", renew);
  }

  for (const button of document.querySelectorAll("button[data-wait]")) {
    const words = button.textContent;
    let left = Number(button.dataset.wait);
    const show = () => {
      // Not "disabled": the button keeps its place in the tab order and says why it waits.
      button.setAttribute("aria-disabled", left > 0 ? "true" : "false");
      button.textContent = left > 0 ? button.dataset.waitText.replace("{s}", String(left)) : words;
    };
    if (left > 0) {
      show();
      const timer = setInterval(() => {
        left -= 1;
        show();
        if (left <= 0) clearInterval(timer);
      }, 1000);
    }
  }

  document.addEventListener("submit", (event) => {
    const button = event.submitter;
    if (button?.getAttribute("aria-disabled") === "true" || event.target.dataset.sent === "yes") {
      event.preventDefault();
      return;
    }
    event.target.dataset.sent = "yes";
  });
  window.addEventListener("pageshow", () => {
    document.querySelectorAll("form[data-sent]").forEach((form) => delete form.dataset.sent);
  });
})();
