// The map of the features: show the row under the pointer or the arrow keys, and single out a class.
for (const map of document.querySelectorAll(".map")) {
  const svg = map.querySelector("svg");
  const dots = [...svg.querySelectorAll("circle")].map((dot, index) => (
    { dot, index, x: dot.cx.baseVal.value, y: dot.cy.baseVal.value, words: dot.querySelector("title").textContent }
  ));
  const fromLeft = [...dots].sort((a, b) => a.x - b.x);
  const sprite = map.querySelector(".sprite");
  const words = map.querySelector("output");
  const mark = document.createElementNS(svg.namespaceURI, "circle"); // on top of all dots
  mark.classList.add("at");
  let current = null;

  const show = (found) => {
    if (found === current) return;
    current = found;
    mark.setAttribute("cx", current.x);
    mark.setAttribute("cy", current.y);
    svg.append(mark);
    words.textContent = current.words;
    if (!sprite) return;
    const columns = Number(sprite.dataset.columns), rows = Number(sprite.dataset.rows);
    const place = (index, count) => count > 1 ? `${100 * index / (count - 1)}%` : "0%";
    const column = current.index % columns, row = Math.floor(current.index / columns);
    sprite.style.backgroundPosition = `${place(column, columns)} ${place(row, rows)}`;
    sprite.classList.add("shown");
  };
  const visible = (one) => {
    const group = one.dot.parentNode;
    return !svg.classList.contains("single") || group.classList.contains("on");
  };

  svg.addEventListener("pointermove", (event) => {
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    let best = null, least = 30 * 30;
    for (const one of dots) {
      const distance = (one.x - point.x) ** 2 + (one.y - point.y) ** 2;
      if (distance < least && visible(one)) { best = one; least = distance; }
    }
    if (best) show(best);
  });
  svg.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const order = fromLeft.filter(visible);
    const at = order.indexOf(current);
    show(order[at < 0 ? 0 : (at + step + order.length) % order.length]);
  });
  const buttons = [...map.querySelectorAll("button")];
  for (const button of buttons) {
    button.addEventListener("click", () => {
      const on = button.getAttribute("aria-pressed") !== "true";
      for (const other of buttons) other.setAttribute("aria-pressed", String(on && other === button));
      svg.classList.toggle("single", on);
      for (const group of svg.querySelectorAll("[data-class]")) {
        group.classList.toggle("on", group.dataset.class === button.dataset.class);
      }
    });
  }
}
