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

  /* The filter. */
  var rows = all("#table tbody tr").map(function (row) {
    return { row: row, host: row.dataset.h, status: row.dataset.s, verdict: row.dataset.v, groups: row.dataset.g, text: row.dataset.t.toLowerCase(), shown: true };
  });
  var hosts = {};
  all("details.host").forEach(function (each) { hosts[each.id] = { node: each, shown: true }; });
  var form = document.querySelector(".filter"), q = byId("q"), status = byId("status"), verdict = byId("verdict"), group = byId("group"), count = byId("count");
  var tiles = [];
  /* What goes, goes at once. What comes back does so in portions, the top of the page first, so that typing never waits. */
  var AT_ONCE = 120, waiting = [], timer = 0;
  var set = function (each, node, fits) {
    if (fits === each.shown) { return; }
    each.shown = fits;
    if (fits) { waiting.push({ each: each, node: node }); } else { node.hidden = true; }
  };
  var later = function (portion) {
    clearTimeout(timer);
    waiting.splice(0, portion).forEach(function (one) { one.node.hidden = !one.each.shown; });
    if (waiting.length) { timer = setTimeout(later, 16, AT_ONCE); }
  };
  var apply = function () {
    var words = q.value.toLowerCase().split(/\s+/).filter(Boolean), s = status.value, v = verdict.value, g = group && group.value ? " " + group.value + " " : "";
    var shown = 0, wanted = Object.create(null);
    rows.forEach(function (each) {
      var fits = (!s || (s === "!" ? each.status !== "healthy" : each.status === s)) && (!v || each.verdict === v) && (!g || each.groups.indexOf(g) >= 0) &&
        words.every(function (word) { return each.text.indexOf(word) >= 0; });
      if (fits) { shown += 1; wanted[each.host] = true; }
      set(each, each.row, fits);
    });
    Object.keys(hosts).forEach(function (id) { set(hosts[id], hosts[id].node, Boolean(wanted[id])); });
    later(AT_ONCE);
    byId("nothing").hidden = shown > 0;
    count.textContent = shown + " of " + rows.length + " rows";
    tiles.forEach(function (tile) { tile.setAttribute("aria-pressed", String(tile.value === s)); });
  };
  form.addEventListener("input", apply);
  form.addEventListener("change", apply);
  form.addEventListener("submit", function (event) { event.preventDefault(); });
  form.addEventListener("reset", function () { setTimeout(apply, 0); });

  /* The figures are buttons of the filter. */
  all(".tile").forEach(function (old) {
    var tile = document.createElement("button"), found = /t-(\w+)/.exec(old.className);
    tile.type = "button"; tile.className = old.className; tile.value = found ? found[1] : "";
    while (old.firstChild) { tile.appendChild(old.firstChild); }
    tile.addEventListener("click", function () { status.value = status.value === tile.value ? "" : tile.value; apply(); });
    old.replaceWith(tile);
    tiles.push(tile);
  });
  apply();

  /* A link to a host opens it, also when the filter has hidden it. */
  var open = function () {
    var found = null;
    try { found = hosts[decodeURIComponent(location.hash.slice(1))]; } catch (_) { return; }
    if (!found) { return; }
    if (!found.shown || found.node.hidden) { form.reset(); apply(); later(waiting.length); }
    found.node.open = true;
    found.node.scrollIntoView();
    found.node.querySelector("summary").focus({ preventScroll: true });
  };
  addEventListener("hashchange", open);
  byId("table").addEventListener("click", function (event) {
    var link = event.target.closest("a");
    if (link && link.hash === location.hash) { open(); }
  });
  open();
  document.addEventListener("keydown", function (event) {
    if (event.key === "/" && !event.ctrlKey && !event.metaKey && !/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) { event.preventDefault(); q.focus(); }
    if (event.key === "Escape" && event.target === q) { form.reset(); }
  });

  /* On paper every host that is not healthy is open. */
  addEventListener("beforeprint", function () {
    all("details.host:not(.e-healthy):not([open])").forEach(function (each) { each.open = true; each.dataset.printed = "1"; });
  });
  addEventListener("afterprint", function () {
    all("details[data-printed]").forEach(function (each) { each.open = false; delete each.dataset.printed; });
  });
}());
