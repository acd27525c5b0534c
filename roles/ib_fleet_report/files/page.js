/* Light or dark, the figures as buttons, commands to copy, links that open what they lead to, and paper. */
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

  /* The figures, and "14 more", are buttons: each sets one field of the filter of its table. */
  all("[data-sets]").forEach(function (old) {
    var field = byId(old.dataset.sets), button = document.createElement("button"), leads = old.tagName === "SPAN";
    button.type = "button"; button.className = old.className; button.value = old.dataset.value;
    while (old.firstChild) { button.appendChild(old.firstChild); }
    var pressed = function () { button.setAttribute("aria-pressed", String(button.value === field.value)); };
    button.addEventListener("click", function () {
      field.value = field.value === button.value && !leads ? "" : button.value;
      field.dispatchEvent(new Event("change", { bubbles: true }));
      if (leads) { byId("gateways").scrollIntoView(); byId("gateways").focus({ preventScroll: true }); }
    });
    field.form.addEventListener("filtered", pressed);
    old.replaceWith(button);
    pressed();
  });

  /* A command is copied by its button. A page that came over plain HTTP has no clipboard of its own: there the command
     is selected and the browser is asked to copy what is selected; where it will not, the selection stays to be copied. */
  var select = function (node) {
    var range = document.createRange(), chosen = getSelection();
    range.selectNodeContents(node); chosen.removeAllRanges(); chosen.addRange(range);
  };
  all(".command").forEach(function (each) {
    var button = document.createElement("button"), code = each.querySelector("code"), timer = 0;
    var say = function (word) {
      button.textContent = word; clearTimeout(timer);
      timer = setTimeout(function () { button.textContent = "Copy"; }, 2500);
    };
    var byHand = function () {
      select(code);
      var done = false;
      try { done = document.execCommand("copy"); } catch (_) { done = false; }
      say(done ? "Copied" : "Selected");
    };
    button.type = "button"; button.className = "copy"; button.textContent = "Copy";
    button.setAttribute("aria-live", "polite");
    button.addEventListener("click", function () {
      if (!navigator.clipboard) { byHand(); return; }
      navigator.clipboard.writeText(code.textContent).then(function () { say("Copied"); }, byHand);
    });
    each.appendChild(button);
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

  /* On paper every host that is not healthy is open, and so is the rest of the list of what is wrong. */
  addEventListener("beforeprint", function () {
    all("details.host:not(.e-healthy):not([open]), details.rest:not([open])").forEach(function (each) { each.open = true; each.dataset.printed = "1"; });
  });
  addEventListener("afterprint", function () {
    all("details[data-printed]").forEach(function (each) { each.open = false; delete each.dataset.printed; });
  });
}());
