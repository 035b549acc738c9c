// What all views share: building the page from text, mounting, numbers, theme, finding the server.
(function () {
  const sdlab = (window.sdlab = { views: {} });

  // An element; strings become text nodes, so that no text is ever read as HTML.
  sdlab.el = function (tag, attributes, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (name === "style") Object.assign(element.style, value);
      else element.setAttribute(name, value === true ? "" : value);
    }
    for (const child of children.flat(Infinity)) {
      if (child !== null && child !== undefined && child !== false) element.append(child);
    }
    return element;
  };

  // Draws a view's value now and whenever it changes; Gradio leaves what was drawn alone.
  sdlab.mount = function (kind, element, props, watch, trigger) {
    const place = element.querySelector(".sd-view");
    const draw = function () {
      // Before the first answer Gradio holds an empty text or nothing.
      if (!props.value || typeof props.value !== "object" || !Object.keys(props.value).length) return;
      const focused = place.contains(document.activeElement)
        ? document.activeElement.getAttribute("data-key")
        : null;
      sdlab.views[kind](place, props.value, trigger);
      place.setAttribute("data-drawn", "true");
      if (focused) {
        const again = place.querySelector('[data-key="' + CSS.escape(focused) + '"]');
        if (again && again !== document.activeElement) again.focus({ preventScroll: true });
      }
    };
    watch("value", draw);
    draw();
  };

  // The head of a table; of a column of numbers a pair, [name, true].
  sdlab.head = (names) => sdlab.el("thead", {}, sdlab.el("tr", {}, names.map((each) => [].concat(each)).map(([name, isNumber]) =>
    sdlab.el("th", { scope: "col", class: isNumber ? "sd-number" : null }, name))));

  // How a view of a task's version asks for something else: from then on the address names the
  // version, as another one may be made meanwhile.
  sdlab.asker = (version, trigger) => (changes) => { sdlab.setQuery({ version: version, ...changes, added: "" }); trigger("select", {}); };

  // A control below its label.
  sdlab.labelled = (label, control) => sdlab.el("label", { class: "sd-pick" }, sdlab.el("small", {}, label), control);

  // A choice with its label; ``choices`` are [value, name] pairs.
  sdlab.pick = (id, label, choices, chosen, onchange) =>
    sdlab.labelled(label,
      sdlab.el("select", { id: id, "data-key": id, onchange: (event) => onchange(event.target.value) },
        choices.map(([value, name]) => sdlab.el("option", { value: value, selected: value === chosen }, name))));

  sdlab.query = () => new URLSearchParams(location.search);

  // Writes what is shown into the address, so that a reload and a link show the same.
  sdlab.setQuery = function (changes) {
    const query = sdlab.query();
    for (const [name, value] of Object.entries(changes)) {
      if (value === null || value === undefined || value === "") query.delete(name);
      else query.set(name, value);
    }
    const text = query.toString();
    history.replaceState(history.state, "", location.pathname + (text ? "?" + text : ""));
  };

  sdlab.link = (path, query) => path + (query ? "?" + new URLSearchParams(query) : "");

  sdlab.percent = (share) => Math.round(100 * share) + " %";
  sdlab.points = (change) => (change < 0 ? "−" : "+") + Math.abs(Math.round(100 * change));
  sdlab.band = (s) => sdlab.percent(s.score) + " ±" + Math.round(50 * (s.high - s.low));
  sdlab.duration = function (seconds) {
    if (seconds === null || seconds === undefined) return "";
    if (seconds < 90) return Math.round(seconds) + " s";
    const minutes = Math.round(seconds / 60);
    return minutes < 90 ? minutes + " min" : Math.floor(minutes / 60) + " h " + (minutes % 60) + " min";
  };
  sdlab.size = function (bytes) {
    const mib = bytes / 1048576;
    return mib < 1 ? Math.ceil(bytes / 1024) + " KiB" : mib < 1024 ? mib.toFixed(1) + " MiB" : (mib / 1024).toFixed(1) + " GiB";
  };

  sdlab.isDark = () => document.body.classList.contains("dark");
  sdlab.setDark = function (dark) {
    document.body.classList.toggle("dark", dark);
    try { localStorage.setItem("sdlab-theme", dark ? "dark" : "light"); } catch (blocked) { /* private window */ }
  };
  const asked = new URLSearchParams(location.search).get("__theme");
  let wanted = asked;
  try { wanted = asked || localStorage.getItem("sdlab-theme"); } catch (blocked) { /* private window */ }
  if (wanted === "dark" || wanted === "light") document.body.classList.toggle("dark", wanted === "dark");

  // Who is signed in, and the way out; and what a viewer cannot use is put away (the server refuses it).
  let person;
  function greet(found) {
    person = found || person;
    const place = document.getElementById("sd-person");
    if (!person || !place || place.firstChild) return;
    document.body.setAttribute("data-role", person.role);
    place.append(sdlab.el("form", { method: "post", action: "logout" },
      sdlab.el("button", { type: "submit", "data-key": "sign-out", title: person.name + ", " + person.role }, "Sign out " + person.name)));
  }

  // Asks the server for a sign of life. A server that was started anew does not know this page's
  // session, so the page loads again: all that it shows stands in its address and in the lab.
  let server = null;
  async function look() {
    let found = null;
    try {
      const answer = await fetch("healthz", { cache: "no-store" });
      if (answer.ok) {
        const told = await answer.json();
        found = told.server;
        if (told.person === null) {
          location.reload();
          return;
        }
        greet(told.person);
      }
    } catch (unreachable) { /* said below */ }
    let banner = document.getElementById("sd-away");
    if (found === null) {
      if (!banner) {
        banner = sdlab.el("div", { id: "sd-away", role: "status" },
          "The lab's server does not answer. Runs under way go on; start it with: sdlab serve. Looking again every 2 s.");
        document.body.prepend(banner);
      }
    } else if (server !== null && server !== found) {
      location.reload();
      return;
    } else {
      server = found;
      if (banner) banner.remove();
    }
    setTimeout(look, 2000);
  }
  look();

  sdlab.views.header = function (place, value) {
    const el = sdlab.el;
    const links = value.places.map(([path, name]) =>
      el("a", { href: path || "./", "data-key": "to-" + name, "aria-current": path === value.current ? "page" : null }, name));
    const state = el("span", { class: "sd-state", role: "status" });
    if (value.status) {
      for (const slot of value.status.slots) {
        state.append(el("span", { class: slot.run ? "sd-busy" : "sd-idle" },
          slot.id.toUpperCase().replace(":0", "") + " ", slot.run ? el("a", { href: sdlab.link("run", { id: slot.run }) }, slot.name) : "idle"));
      }
      if (value.status.queued) state.append(el("span", {}, value.status.queued + " queued"));
    }
    const theme = el("button", { type: "button", "data-key": "theme", "aria-label": "Switch between light and dark",
      onclick: () => sdlab.setDark(!sdlab.isDark()) }, "Theme");
    place.replaceChildren(el("nav", { "aria-label": "Pages" }, el("a", { class: "sd-name", href: "./" }, "sdlab"), links),
      state, theme, el("span", { id: "sd-person" }));
    greet();
  };
})();
