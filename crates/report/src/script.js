"use strict";
(() => {
  // The model switch: what belongs to another model is hidden. Drawings of all models together give way to those of
  // the chosen one, and stand for them where there is none.
  const choice = document.getElementById("model");
  const choose = () => {
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

  choice.addEventListener("change", choose);
  choose();
})();
