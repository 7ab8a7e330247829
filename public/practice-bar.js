// The practice bar: the brief at hand, and Finish always there, above the chat.
// The server says what to show by window messages; every text is set as text, never as HTML.
(() => {
  "use strict";
  // Light or dark as the machine is set, until somebody chooses with the button.
  const THEME = "vite-ui-theme";
  if (!localStorage.getItem(THEME)) localStorage.setItem(THEME, "system");

  const TAG = "warmline";
  let state = null;
  let open = false;

  const make = (tag, className, text) => {
    const node = document.createElement(tag);
    if (className) node.className = className;
    if (text !== undefined) node.textContent = text;
    return node;
  };

  const tell = (what) => window.postMessage({ [TAG]: "to-server", what }, window.location.origin);

  const list = (title, items) => {
    const section = make("section");
    section.append(make("h3", "", title));
    const ul = make("ul");
    items.forEach((item) => ul.append(make("li", "", item)));
    section.append(ul);
    return section;
  };

  const brief = () => {
    const panel = make("div", "wl-brief");
    panel.id = "wl-brief";
    panel.setAttribute("role", "region");
    panel.setAttribute("aria-label", "The brief");
    panel.tabIndex = 0;
    panel.append(make("p", "wl-situation", state.brief.situation));
    panel.append(list("The customer's record", state.brief.record));
    panel.append(list("You may", state.brief.may));
    panel.append(list("You may not", state.brief.may_not));
    panel.append(make("p", "wl-engine", state.engine));
    return panel;
  };

  const button = (label, className, onClick) => {
    const node = make("button", className, label);
    node.type = "button";
    node.addEventListener("click", onClick);
    return node;
  };

  const render = () => {
    document.getElementById("wl-bar")?.remove();
    document.body.classList.toggle("wl-has-bar", Boolean(state));
    if (!state) return;
    const bar = make("div");
    bar.id = "wl-bar";
    bar.setAttribute("role", "toolbar");
    bar.setAttribute("aria-label", "This practice session");
    const row = make("div", "wl-row");
    row.append(make("span", "wl-who", state.name));
    const toggle = button(open ? "Hide the brief" : "Brief", "wl-button", () => {
      open = !open;
      render();
      document.getElementById("wl-brief-toggle")?.focus();
    });
    toggle.id = "wl-brief-toggle";
    toggle.setAttribute("aria-expanded", String(open));
    toggle.setAttribute("aria-controls", "wl-brief");
    row.append(toggle);
    if (state.status === "graded") {
      row.append(make("span", "wl-done", "Finished"));
    } else {
      const finish = button(state.grading ? "Reading…" : "Finish", "wl-button wl-primary", () => {
        tell("finish");
      });
      finish.id = "wl-finish";
      finish.disabled = Boolean(state.grading);
      finish.title = "End the conversation and get your feedback";
      row.append(finish);
    }
    bar.append(row);
    if (open) bar.append(brief());
    document.body.append(bar);
    // The chat makes room for the bar, whatever its height.
    document.documentElement.style.setProperty("--wl-bar-height", `${bar.offsetHeight}px`);
  };

  window.addEventListener("message", (event) => {
    if (event.source !== window || event.origin !== window.location.origin) return;
    const data = event.data;
    if (!data || data[TAG] !== "bar") return;
    const fresh = data.session && data.session.id !== state?.id;
    const answered = data.session && state && data.session.replies > state.replies;
    state = data.session || null;
    // The brief is there to be read first; it makes room once the conversation runs.
    if (fresh) open = state.status === "talking" && !state.replies;
    if (!state || answered || state.grading) open = false;
    // A narrow page leaves the address as it was; a reload has to find the session again.
    if (state && window.location.pathname === "/") {
      window.history.replaceState(window.history.state, "", `/thread/${state.id}`);
    }
    render();
  });

  // Whoever had to sign in on the way to one of the other pages is taken there afterwards.
  const pages = /^\/(your-data|assignments|progress|compare|desk|studio|accounts)(\/[\w.-]+)*$/;
  const path = window.location.pathname;
  const then = new URLSearchParams(window.location.search).get("then");
  if (path === "/login" && then && pages.test(then)) {
    const watch = window.setInterval(() => {
      if (window.location.pathname === "/login") return;
      window.clearInterval(watch);
      window.location.replace(then);
    }, 200);
  }

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && open) {
      open = false;
      render();
      document.getElementById("wl-brief-toggle")?.focus();
    }
  });
})();
