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
