// The page "now" looks again every few seconds, until somebody says to pause. Without this script it stands still.
"use strict";
(() => {
  const live = document.getElementById("live");
  const pause = document.getElementById("pause");
  if (!live || !pause) return;
  const seconds = Number(live.dataset.seconds);
  let running = true;
  const look = async () => {
    // Whoever reads or uses something in it keeps it.
    if (!running || document.hidden || live.contains(document.activeElement)) return;
    try {
      const answer = await fetch(location.href, { credentials: "same-origin", redirect: "error" });
      if (!answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById("live");
      if (!fresh) return;
      const open = live.querySelector("details")?.open;
      live.replaceChildren(...fresh.childNodes);
      const details = live.querySelector("details");
      if (details && open) details.open = true;
    } catch {
      // The service is gone for a moment: what was seen last stays, with its time.
    }
  };
  pause.hidden = false;
  pause.addEventListener("click", () => {
    running = !running;
    pause.textContent = running ? "Pause" : "Go on";
    if (running) look();
  });
  setInterval(look, 1000 * seconds);
})();

// The page "what if" asks again while something is moved. Without this script its button asks.
(() => {
  const form = document.getElementById("what-if");
  if (!form) return;
  const told = document.getElementById("told");
  let waiting = 0;
  let asking = false;
  let moved = false;
  const address = () => {
    const fields = [...new FormData(form)].filter(([name, value]) => {
      const range = form.elements.namedItem(name)?.type === "range";
      return value !== "" && !(range && Number(value) === 0);
    });
    return `${location.pathname}?${new URLSearchParams(fields)}`;
  };
  const take = (page) => {
    document.getElementById("answer").replaceChildren(...page.getElementById("answer").childNodes);
    told.textContent = page.getElementById("told").textContent;
    for (const meaning of page.querySelectorAll(".means")) {
      const lever = document.getElementById(`l${meaning.id.slice(1)}`);
      if (!lever || page.getElementById(lever.id)?.value !== lever.value) continue;
      document.getElementById(meaning.id).textContent = meaning.textContent;
      if (lever.type === "range") lever.setAttribute("aria-valuetext", meaning.textContent);
    }
  };
  const ask = async () => {
    if (asking) return;
    asking = true;
    while (moved) {
      moved = false;
      try {
        const answer = await fetch(address(), { credentials: "same-origin", redirect: "error" });
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        if (!page.getElementById("answer")) throw new Error(String(answer.status));
        take(page);
      } catch {
        told.textContent = "No answer: press the button to ask again.";
      }
    }
    asking = false;
    history.replaceState(null, "", address());
  };
  form.addEventListener("input", (event) => {
    const lever = event.target;
    if (lever.type === "range") {
      const value = Number(lever.value);
      const means = `${value > 0 ? "+" : ""}${value}% …`.replace("-", "−");
      document.getElementById(`m${lever.id.slice(1)}`).textContent = means;
    }
    moved = true;
    clearTimeout(waiting);
    waiting = setTimeout(ask, 40);
  });
})();
