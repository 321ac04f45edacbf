"use strict";
(() => {
  // What is chosen stands in the address, which can be sent and marked. Some browsers refuse that for files.
  const chosen = new URLSearchParams(location.search);
  const remember = (values) => {
    for (const [name, value] of Object.entries(values)) {
      if (value) chosen.set(name, value);
      else chosen.delete(name);
    }
    const query = chosen.toString();
    try {
      history.replaceState(null, "", `${location.pathname}${query ? `?${query}` : ""}${location.hash}`);
    } catch {
      // The page works as well without.
    }
  };

  // The model switch: what belongs to another model is hidden. Drawings of all models together give way to those of
  // the chosen one, and stand for them where there is none.
  const choice = document.getElementById("model");
  const choose = () => {
    remember({ model: choice.value });
    const model = choice.value;
    for (const element of document.querySelectorAll("[data-model]")) {
      element.hidden = model !== "" && element.dataset.model !== "" && element.dataset.model !== model;
    }
    for (const drawings of document.querySelectorAll(".drawings")) {
      const all = [...drawings.querySelectorAll(".drawing")];
      const together = all.filter((drawing) => drawing.dataset.of === "");
      const own = all.filter((drawing) => drawing.dataset.of === model);
      const fallback = model === "" ? all : [];
      const shown = [own, together, fallback].find((some) => some.length > 0) ?? [];
      for (const drawing of all) drawing.hidden = !shown.includes(drawing);
      drawings.querySelector(".absent").hidden = all.length === 0 || shown.length > 0;
    }
    leave();
  };

  // The values of marks: where they are in a drawing is read once, in the drawing's own units.
  const tip = document.getElementById("value");
  const ring = document.createElementNS("http://www.w3.org/2000/svg", "g");
  for (const [colour, width] of [["#fff", 2.6], ["#000", 1.1]]) {
    const circle = document.createElementNS("http://www.w3.org/2000/svg", "circle");
    circle.setAttribute("r", "3.6");
    circle.setAttribute("fill", "none");
    circle.setAttribute("stroke", colour);
    circle.setAttribute("stroke-width", width);
    ring.append(circle);
  }
  ring.setAttribute("pointer-events", "none");
  const known = new WeakMap();
  const marksOf = (svg) => {
    if (!known.has(svg)) {
      const marks = [...svg.querySelectorAll("[data-value]")].map((element) => {
        const box = element.getBBox();
        return { element, x: box.x + box.width / 2, y: box.y + box.height / 2 };
      });
      known.set(svg, marks);
    }
    return known.get(svg);
  };
  const scaleOf = (svg) => svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;

  let current = null;
  const leave = () => {
    current = null;
    tip.hidden = true;
    ring.remove();
  };
  // Puts the value beside its mark, which may have been scrolled.
  const place = () => {
    const { svg, mark } = current;
    const frame = svg.getBoundingClientRect();
    const plot = svg.parentElement.getBoundingClientRect();
    const scale = scaleOf(svg);
    const x = frame.left + mark.x * scale;
    const y = frame.top + mark.y * scale;
    if (x < plot.left || x > plot.right) return leave();
    const { width, height } = tip.getBoundingClientRect();
    const room = document.documentElement.clientWidth - width - 4;
    tip.style.left = `${Math.max(4, Math.min(x - width / 2, room))}px`;
    tip.style.top = `${y - height - 12 < 4 ? y + 12 : y - height - 12}px`;
  };
  const show = (svg, mark) => {
    current = { svg, mark };
    ring.setAttribute("transform", `translate(${mark.x} ${mark.y})`);
    svg.append(ring);
    if (tip.textContent !== mark.element.dataset.value) tip.textContent = mark.element.dataset.value;
    tip.hidden = false;
    place();
  };
  const nearest = (svg, event, reach) => {
    const marks = marksOf(svg);
    const under = marks.find((mark) => mark.element === event.target);
    if (under) return under;
    const frame = svg.getBoundingClientRect();
    const scale = scaleOf(svg);
    let best = null;
    let least = reach;
    for (const mark of marks) {
      const x = frame.left + mark.x * scale - event.clientX;
      const y = frame.top + mark.y * scale - event.clientY;
      const distance = Math.hypot(x, y);
      if (distance <= least) [best, least] = [mark, distance];
    }
    return best;
  };
  const point = (svg, event, reach) => {
    const mark = nearest(svg, event, reach);
    if (mark) show(svg, mark);
    else leave();
  };
  for (const plot of document.querySelectorAll(".plot")) {
    const svg = plot.querySelector("svg");
    if (!svg) continue;
    plot.addEventListener("pointermove", (event) => {
      if (event.pointerType !== "touch") point(svg, event, 14);
    });
    plot.addEventListener("pointerleave", (event) => {
      if (event.pointerType !== "touch") leave();
    });
    plot.addEventListener("click", (event) => point(svg, event, 28));
    plot.addEventListener("blur", leave);
    plot.addEventListener("keydown", (event) => {
      const marks = marksOf(svg);
      const at = current?.svg === svg ? marks.indexOf(current.mark) : -1;
      const last = marks.length - 1;
      const steps = { ArrowRight: at + 1, ArrowLeft: at < 0 ? last : at - 1, Home: 0, End: last };
      if (event.key === "Escape") leave();
      if (!(event.key in steps) || last < 0) return;
      event.preventDefault();
      const mark = marks[Math.max(0, Math.min(steps[event.key], last))];
      const x = mark.x * scaleOf(svg);
      if (x < plot.scrollLeft || x > plot.scrollLeft + plot.clientWidth) plot.scrollLeft = x - plot.clientWidth / 2;
      show(svg, mark);
    });
  }
  document.addEventListener("click", (event) => {
    if (!event.target.closest(".plot")) leave();
  });
  const follow = () => {
    if (current) place();
  };
  document.addEventListener("scroll", follow, { passive: true, capture: true });
  addEventListener("resize", follow);

  // Tables in the order of a column: a cell's own order, or its text.
  const orderOf = (row, column) => row.cells[column].dataset.order ?? row.cells[column].textContent.trim();
  const compare = (a, b) => (isNaN(a) || isNaN(b) ? String(a).localeCompare(String(b), "en", { numeric: true }) : a - b);
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    const rows = [...table.tBodies[0].rows];
    const sort = (column, direction) => {
      const sign = direction === "descending" ? -1 : 1;
      const sorted = rows.toSorted((a, b) => sign * compare(orderOf(a, column), orderOf(b, column)));
      table.tBodies[0].append(...sorted);
      for (const head of heads) head.removeAttribute("aria-sort");
      heads[column].setAttribute("aria-sort", direction);
    };
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const direction = head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
        sort(column, direction);
        const plain = column === 0 && direction === "ascending";
        remember({ sort: plain ? "" : `${direction === "descending" ? "-" : ""}${button.textContent}` });
      });
    });
    const asked = chosen.get("sort") ?? "";
    const column = heads.findIndex((head) => head.textContent === asked.replace(/^-/, ""));
    if (column >= 0) sort(column, asked.startsWith("-") ? "descending" : "ascending");
  }

  // Parts that fold: all at once, for paper, and where a link leads into one.
  const parts = [...document.querySelectorAll("details.part")];
  const unfold = document.getElementById("unfold");
  const allOpen = () => parts.every((part) => part.open);
  const label = () => {
    unfold.textContent = allOpen() ? "Fold all" : "Unfold all";
  };
  const setAll = (open) => {
    for (const part of parts) part.open = open;
  };
  unfold.hidden = parts.length === 0;
  unfold.addEventListener("click", () => {
    const open = !allOpen();
    setAll(open);
    remember({ unfolded: open ? "all" : "" });
  });
  for (const part of parts) part.addEventListener("toggle", label);
  if (chosen.get("unfolded") === "all") setAll(true);
  const reveal = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const part = target?.closest("details.part");
    if (!part) return;
    part.open = true;
    target.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  let before = null;
  addEventListener("beforeprint", () => {
    before = parts.map((part) => part.open);
    setAll(true);
  });
  addEventListener("afterprint", () => {
    parts.forEach((part, place) => {
      part.open = before?.[place] ?? part.open;
    });
  });

  // Files: a drawing with the labels and glyphs that the page shares, its picture at 300 dots per inch, the rows of a table.
  const save = (blob, name) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  };
  const documentOf = (svg) => {
    const copy = svg.cloneNode(true);
    if (current?.svg === svg) copy.lastElementChild.remove();
    const defined = document.createElementNS("http://www.w3.org/2000/svg", "defs");
    const names = new Set();
    const gather = (from) => {
      for (const use of from.querySelectorAll("use")) names.add(use.getAttribute("href").slice(1));
    };
    gather(copy);
    // A label names glyphs, which are visited after it.
    for (const name of names) {
      const shared = document.getElementById(name);
      if (!shared) continue;
      defined.append(shared.cloneNode(true));
      gather(shared);
    }
    // What the page says beside the drawing, and the version that measured.
    const told = document.createElementNS("http://www.w3.org/2000/svg", "desc");
    const facts = [...document.querySelectorAll("#provenance dt")];
    const version = facts.find((name) => name.textContent === "layerwise")?.nextElementSibling;
    told.textContent = svg.closest(".plot").getAttribute("aria-label") + (version ? ` layerwise ${version.textContent}.` : "");
    copy.prepend(told, defined);
    copy.removeAttribute("aria-hidden");
    copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
    return new XMLSerializer().serializeToString(copy);
  };
  const pictureOf = async (svg) => {
    const address = URL.createObjectURL(new Blob([documentOf(svg)], { type: "image/svg+xml" }));
    const image = new Image();
    image.src = address;
    await image.decode();
    URL.revokeObjectURL(address);
    const scale = 300 / 72;
    const canvas = document.createElement("canvas");
    canvas.width = Math.round(svg.viewBox.baseVal.width * scale);
    canvas.height = Math.round(svg.viewBox.baseVal.height * scale);
    const context = canvas.getContext("2d");
    context.fillStyle = "#fff";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(image, 0, 0, canvas.width, canvas.height);
    return new Promise((done) => canvas.toBlob(done, "image/png"));
  };
  const rowsOf = async (packed) => {
    const bytes = Uint8Array.from(atob(packed), (character) => character.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Blob([await new Response(stream).arrayBuffer()], { type: "text/csv" });
  };
  for (const button of document.querySelectorAll("[data-save]")) {
    button.closest(".save").hidden = false;
    button.addEventListener("click", async () => {
      if (button.dataset.save === "CSV") {
        return save(await rowsOf(button.dataset.rows), `${button.dataset.file}.csv`);
      }
      const drawing = button.closest(".drawing");
      const name = [drawing.dataset.file, drawing.dataset.of].filter(Boolean).join("-");
      const svg = drawing.querySelector("svg");
      if (button.dataset.save === "SVG") save(new Blob([documentOf(svg)], { type: "image/svg+xml" }), `${name}.svg`);
      else save(await pictureOf(svg), `${name}.png`);
    });
  }
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.closest(".save").hidden = false;
    button.addEventListener("click", async () => {
      const text = button.closest(".citation").querySelector("pre");
      // Chosen as well, for browsers that let no page copy.
      getSelection().selectAllChildren(text);
      try {
        await navigator.clipboard.writeText(text.textContent);
        button.textContent = "Copied";
      } catch {
        button.textContent = "Chosen: copy it with the keyboard";
      }
    });
  }

  choice.addEventListener("change", choose);
  const models = [...choice.options].map((option) => option.value);
  if (models.includes(chosen.get("model"))) choice.value = chosen.get("model");
  choose();
  label();
  reveal();
})();
