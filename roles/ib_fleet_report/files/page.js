/* Light or dark, the figures as buttons, links that open what they lead to, and paper. */
(function () {
  "use strict";
  var byId = function (id) { return document.getElementById(id); };
  var all = function (query) { return Array.prototype.slice.call(document.querySelectorAll(query)); };
  var root = document.documentElement;
  all(".js").forEach(function (each) { each.hidden = false; });

  /* Light or dark: the system's, until somebody chooses. */
  var store = function (value) {
    try { return value ? localStorage.setItem("ib-theme", value) : localStorage.getItem("ib-theme"); } catch (_) { return null; }
  };
  var theme = byId("theme"), dark = matchMedia("(prefers-color-scheme: dark)");
  var isDark = function () { return (root.dataset.theme || (dark.matches ? "dark" : "light")) === "dark"; };
  var label = function () { theme.textContent = isDark() ? "Light" : "Dark"; theme.setAttribute("aria-label", "Show in " + (isDark() ? "light" : "dark") + " colours"); };
  var chosen = store();
  if (chosen === "light" || chosen === "dark") { root.dataset.theme = chosen; }
  theme.addEventListener("click", function () { root.dataset.theme = isDark() ? "light" : "dark"; store(root.dataset.theme); label(); });
  dark.addEventListener("change", label);
  label();

  /* The figures are buttons: each sets one field of the filter of its table. */
  all(".tile").forEach(function (old) {
    var field = byId(old.dataset.sets), tile = document.createElement("button");
    tile.type = "button"; tile.className = old.className; tile.value = old.dataset.value;
    while (old.firstChild) { tile.appendChild(old.firstChild); }
    var pressed = function () { tile.setAttribute("aria-pressed", String(tile.value === field.value)); };
    tile.addEventListener("click", function () {
      field.value = field.value === tile.value ? "" : tile.value;
      field.dispatchEvent(new Event("change", { bubbles: true }));
    });
    field.form.addEventListener("filtered", pressed);
    old.replaceWith(tile);
    pressed();
  });

  /* A link to a section opens it, also when a filter has hidden it. */
  var open = function () {
    var id = "", found = null;
    try { id = decodeURIComponent(location.hash.slice(1)); } catch (_) { return; }
    ibTables.forEach(function (each) { found = found || each.reveal(id); });
    if (!found) { return; }
    found.open = true;
    found.scrollIntoView();
    found.querySelector("summary").focus({ preventScroll: true });
  };
  addEventListener("hashchange", open);
  document.addEventListener("click", function (event) {
    var link = event.target.closest("a");
    if (link && link.hash && link.hash === location.hash) { open(); }
  });
  open();
  document.addEventListener("keydown", function (event) {
    var field = document.querySelector("input[type=search]");
    if (field && event.key === "/" && !event.ctrlKey && !event.metaKey && !/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) { event.preventDefault(); field.focus(); }
  });

  /* On paper every host that is not healthy is open. */
  addEventListener("beforeprint", function () {
    all("details.host:not(.e-healthy):not([open])").forEach(function (each) { each.open = true; each.dataset.printed = "1"; });
  });
  addEventListener("afterprint", function () {
    all("details[data-printed]").forEach(function (each) { each.open = false; delete each.dataset.printed; });
  });
}());
