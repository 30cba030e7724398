"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const value = (cell) => {
    const text = cell.dataset.value ?? cell.textContent.trim();
    const number = Number(text);
    return text === "" ? null : Number.isNaN(number) ? text : number;
  };
  for (const table of all("table.sortable")) {
    const heads = all("thead th", table);
    heads.forEach((head, column) => head.querySelector("button")?.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...table.tBodies[0].rows].map((row) => [value(row.cells[column]), row]);
      rows.sort(([a], [b]) => {
        if (a === null || b === null) return (a === null) - (b === null);
        const order = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
        return down ? -order : order;
      });
      table.tBodies[0].append(...rows.map(([, row]) => row));
    }));
  }
  for (const box of all("input[data-filter]")) {
    const rows = [...document.getElementById(box.dataset.filter).tBodies[0].rows];
    const count = document.getElementById(`${box.dataset.filter}-count`);
    let texts = null;
    box.addEventListener("input", () => {
      texts ??= rows.map((row) => row.textContent.toLowerCase());
      const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      rows.forEach((row, i) => { const keep = words.every((w) => texts[i].includes(w)); row.hidden = !keep; shown += keep; });
      if (count) count.textContent = `${shown} of ${rows.length} runs`;
    });
  }
  for (const choice of all("select[data-jump]")) {
    choice.addEventListener("change", () => {
      const strip = document.getElementById(choice.dataset.jump);
      const figure = document.getElementById(choice.value);
      strip.scrollTo({ left: figure.offsetLeft - strip.offsetLeft });
    });
  }
  for (const figure of all("figure.flicker")) {
    const images = all("img", figure), buttons = all("[data-frame]", figure);
    const turn = figure.querySelector("[data-turn]");
    figure.classList.add("live");
    let timer = null, at = 0;
    const show = (n) => {
      at = n % images.length;
      images.forEach((image, i) => image.classList.toggle("off", i !== at));
      buttons.forEach((button, i) => button.setAttribute("aria-pressed", i === at));
    };
    const stop = () => { clearInterval(timer); timer = null; turn.setAttribute("aria-pressed", false); };
    buttons.forEach((button, i) => button.addEventListener("click", () => { stop(); show(i); }));
    turn.addEventListener("click", () => {
      if (timer) { stop(); return; }
      turn.setAttribute("aria-pressed", true);
      timer = setInterval(() => show(at + 1), 700);
    });
  }
  const highlight = (row) => {
    all("tr.chosen").forEach((other) => other.classList.remove("chosen"));
    row.classList.add("chosen");
    for (const plot of all("svg[data-measure]")) {
      const cell = row.querySelector(`td[data-measure="${plot.dataset.measure}"]`);
      const mark = plot.querySelector(".mark");
      const found = cell && cell.dataset.value !== "" ? Number(cell.dataset.value) : null;
      mark.setAttribute("visibility", found === null ? "hidden" : "visible");
      if (found === null) continue;
      const low = Number(plot.dataset.low), high = Number(plot.dataset.high);
      const x = 10 + 220 * Math.min(1, Math.max(0, (found - low) / (high - low || 1)));
      mark.setAttribute("transform", `translate(${x} 0)`);
    }
    const said = document.getElementById("chosen-run");
    if (said) said.textContent = row.dataset.run;
  };
  for (const body of all("table[data-highlight] tbody")) {
    for (const type of ["click", "focusin", "mouseover"]) {
      body.addEventListener(type, (event) => { const row = event.target.closest("tr"); if (row) highlight(row); });
    }
  }
})();
