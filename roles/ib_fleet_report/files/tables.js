/* Tables that filter and sort. A form with data-for names its table; each of its fields says by which data of a row. */
var ibTables = (function () {
  "use strict";
  var all = function (query, root) { return Array.prototype.slice.call((root || document).querySelectorAll(query)); };
  /* What goes, goes at once. What comes back does so in portions, the top of the page first, so that typing never waits.
     Who waits is told anew by each filter: what an earlier one was still bringing back is never in the way. */
  var AT_ONCE = 120;
  var words = new Intl.Collator("en", { numeric: true, sensitivity: "base" }).compare;

  var fitting = {
    words: function (data, value) { return value.toLowerCase().split(/\s+/).every(function (word) { return data.indexOf(word) >= 0; }); },
    is: function (data, value) { return value === "!" ? data !== "healthy" : data === value; },
    has: function (data, value) { return data.indexOf(" " + value + " ") >= 0; }
  };

  function filtered(form) {
    var table = document.getElementById(form.dataset.for), count = form.querySelector("output"), nothing = document.getElementById(count.dataset.none);
    var rows = all("tbody tr", table).map(function (row, index) {
      row.dataset.t = row.dataset.t.toLowerCase();
      return { node: row, section: row.dataset.h, shown: true, place: index };
    });
    var sections = {}, waiting = [], timer = 0;
    all(form.dataset.sections).forEach(function (each) { sections[each.id] = { node: each, shown: true }; });

    function hideOrWait(each) {
      if (each.shown === !each.node.hidden) { return; }
      if (each.shown) { waiting.push(each); } else { each.node.hidden = true; }
    }
    function later(portion) {
      clearTimeout(timer);
      waiting.splice(0, portion).forEach(function (each) { each.node.hidden = false; });
      if (waiting.length) { timer = setTimeout(later, 16, AT_ONCE); }
    }
    function apply() {
      var fields = all("[data-by]", form).filter(function (each) { return each.value.trim(); });
      var shown = 0, wanted = Object.create(null);
      waiting = [];
      rows.forEach(function (each) {
        each.shown = fields.every(function (field) { return fitting[field.dataset.how](each.node.dataset[field.dataset.by] || "", field.value.trim()); });
        if (each.shown) { shown += 1; wanted[each.section] = true; }
        hideOrWait(each);
      });
      Object.keys(sections).forEach(function (id) { sections[id].shown = Boolean(wanted[id]); hideOrWait(sections[id]); });
      later(AT_ONCE);
      nothing.hidden = shown > 0;
      count.textContent = shown + " of " + rows.length + " rows";
      form.dispatchEvent(new Event("filtered"));
    }
    function reveal(id) {
      var found = Object.prototype.hasOwnProperty.call(sections, id) ? sections[id] : null;
      if (found && (!found.shown || found.node.hidden)) { form.reset(); apply(); later(waiting.length); }
      return found && found.node;
    }

    /* Sorting: up, down, and back to the order of the page, which is the worst first. Empty cells stay last. */
    var heads = all("th[data-c]", table), sorted = -1, way = 1;
    function key(row, column) { var cell = row.node.children[column]; return cell.dataset.o || cell.textContent.trim(); }
    function sort(column) {
      if (sorted !== column) { sorted = column; way = 1; } else if (way === 1) { way = -1; } else { sorted = -1; way = 1; }
      var keys = rows.map(function (row) { return { row: row, key: sorted < 0 ? "" : key(row, column) }; });
      keys.sort(function (one, other) {
        if (sorted >= 0 && Boolean(one.key) !== Boolean(other.key)) { return one.key ? -1 : 1; }
        return (sorted < 0 ? 0 : way * words(one.key, other.key)) || one.row.place - other.row.place;
      });
      rows = keys.map(function (each) { return each.row; });
      var body = table.tBodies[0], pile = document.createDocumentFragment();
      rows.forEach(function (each) { pile.appendChild(each.node); });
      body.appendChild(pile);
      heads.forEach(function (head) {
        if (Number(head.dataset.c) === sorted) { head.setAttribute("aria-sort", way === 1 ? "ascending" : "descending"); } else { head.removeAttribute("aria-sort"); }
      });
    }
    heads.forEach(function (head) {
      var button = document.createElement("button");
      button.type = "button"; button.className = "sort";
      while (head.firstChild) { button.appendChild(head.firstChild); }
      head.appendChild(button);
      button.addEventListener("click", function () { sort(Number(head.dataset.c)); });
    });

    form.addEventListener("input", apply);
    form.addEventListener("change", apply);
    form.addEventListener("submit", function (event) { event.preventDefault(); });
    form.addEventListener("reset", function () { setTimeout(apply, 0); });
    form.addEventListener("keydown", function (event) { if (event.key === "Escape" && event.target.type === "search") { form.reset(); } });
    apply();
    return { apply: apply, reveal: reveal };
  }

  return all("form[data-for]").map(filtered);
}());
