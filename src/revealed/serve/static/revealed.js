// Decisions for a page, and what came of them. Never throws into the page, and never makes it wait for long.
//
//   <script src="https://decide.shop.example/revealed.js"></script>
//   const shop = new Revealed("https://decide.shop.example", {key: "rk_…", fallback: ["news"]});
//   const decided = await shop.decide({device: "phone"}, {candidates: ["news", "guide"], person: "ann"});
//   …show decided.shown…
//   button.onclick = () => shop.outcome(decided, 1);
//
// The key is read by everybody who reads the page: give it the scopes decide and outcome, and no other.
(function (root) {
  "use strict";

  class Revealed {
    // service: its address. key, policy: as the service wants them. fallback: what is shown when no decision came
    // within so many milliseconds (timeout).
    constructor(service, options) {
      const { key, policy, fallback = [], timeout = 300 } = options || {};
      Object.assign(this, { service: String(service).replace(/\/+$/, ""), key, policy, fallback, timeout });
    }

    // Resolves to {decision, shown, propensity, policy, version}, or to {decision: null, shown: fallback, fallback: why}.
    async decide(context, options) {
      const { candidates, person, id, count, fallback = this.fallback, timeout = this.timeout } = options || {};
      let timer;
      try {
        const stop = typeof AbortController === "function" ? new AbortController() : { abort() {} };
        const late = new Promise((_, reject) => {
          timer = setTimeout(() => (reject(new Error(`nothing within ${timeout} ms`)), stop.abort()), timeout);
        });
        const body = { context: context || {}, candidates, person, id, count, policy: this.policy };
        const asked = this.send("/v1/decide", body, { signal: stop.signal }).then(async (response) => {
          if (!response.ok) throw new Error(`status ${response.status}`);
          return response.json();
        });
        const decided = await Promise.race([asked, late]);
        if (!decided || !Array.isArray(decided.shown)) throw new Error("not a decision");
        return decided;
      } catch (error) {
        return { decision: null, shown: fallback, propensity: null, fallback: String((error && error.message) || error) };
      } finally {
        clearTimeout(timer);
      }
    }

    // Takes what decide gave, or a decision's name. Resolves to whether the service has it; the same may be told twice.
    // It is sent to its end even if the page is left meanwhile.
    async outcome(decision, reward, options) {
      try {
        const { position, time } = options || {};
        const name = decision && typeof decision === "object" ? decision.decision : decision;
        if (!name) return false; // a fall-back, of which nothing is learned
        const body = { decision: name, reward: Number(reward), position, time };
        for (const pause of [0, 1000, 4000]) {
          if (pause) await new Promise((go) => setTimeout(go, pause));
          const response = await this.send("/v1/outcome", body, { keepalive: true }).catch(() => null);
          if (response && response.status !== 429 && response.status < 500) return response.ok;
        }
      } catch (error) {} // what cannot be sent is lost, not the page
      return false;
    }

    async send(path, body, options) {
      const headers = { "content-type": "application/json" };
      if (this.key) headers.authorization = `Bearer ${this.key}`;
      return fetch(this.service + path, { method: "POST", credentials: "omit", headers, body: JSON.stringify(body), ...options });
    }
  }

  root.Revealed = Revealed;
})(typeof globalThis === "undefined" ? self : globalThis);
