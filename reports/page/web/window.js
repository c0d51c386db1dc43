// What is alike in all pages with an axis of time: the window on it, its address, and
// how it is moved. A page has a view, a scale and an end.

class TimeWindow {
  toAddress() {
    clearTimeout(this.addressSoon);
    this.addressSoon = setTimeout(() => history.replaceState(null, "", "#" + this.address()), 200);
  }

  say(text) { document.getElementById("said").textContent = text; }

  drawAxis(width) {
    const axis = document.getElementById("axis"), apart = 96;
    axis.setAttribute("viewBox", `0 0 ${width} 34`);
    const ticks = this.scale.ticks(apart);
    const step = ticks.length > 1 ? Math.min(...ticks.slice(1).map((t, i) => t - ticks[i])) : this.view.to - this.view.from;
    axis.innerHTML = this.scale.folds().map((f) => {
      const x = (this.scale.x(f.from) + this.scale.x(f.to)) / 2, w = this.scale.x(f.to) - this.scale.x(f.from);
      return w > 70 ? `<text class="fold-text" x="${x.toFixed(1)}" y="11" text-anchor="middle">⋯ ${lasting(f.to - f.from)} ⋯</text>` : "";
    }).join("") + ticks.map((t) => `<line class="tick" x1="${this.scale.x(t).toFixed(1)}" x2="${this.scale.x(t).toFixed(1)}" y1="18" y2="34"/><text class="tick-text" x="${(this.scale.x(t) + 3).toFixed(1)}" y="30">${seconds(t, step)}</text>`).join("");
  }

  pan(pixels) {
    const v = this.view, by = Math.round(this.scale.inverse(this.scale.right / 2 + pixels) - this.scale.inverse(this.scale.right / 2));
    v.from += by;
    v.to += by;
    this.drawMoving();
    this.whenItRests(() => this.draw());
  }

  /** Calls when the window has not moved for a moment. Time is counted from the next frame but one on: a slow machine shows that one first. */
  whenItRests(call) {
    const move = (this.moves = (this.moves || 0) + 1), unless = (then) => () => { if (move === this.moves) then(); };
    requestAnimationFrame(unless(() => requestAnimationFrame(unless(() => setTimeout(unless(call), 150)))));
  }

  /** A frame while the window moves; all is drawn once more when it rests. */
  drawMoving() { this.draw(); }

  focus(name) {
    this.view.focus = name;
    this.build();
    this.draw();
    this.say(`partition ${name} in focus`);
  }

  focusTransaction(id) {
    this.view.txn = id;
    this.build();
    this.draw();
    this.say(`transactional id ${id} in focus`);
  }

  theme() {
    const root = document.documentElement, dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    this.drawOverview();
  }

  async copy(text) {
    try {
      await navigator.clipboard.writeText(text);
      this.say("copied");
    } catch {
      this.say(`to copy: ${text}`);
    }
  }

  /** In the lanes a drag pans and a click sets the cursor; on the overview both move the window. */
  listenToDragging() {
    const lanes = document.getElementById("lanes"), overview = document.getElementById("overview");
    let from = null;
    lanes.addEventListener("pointerdown", (e) => { if (e.target.closest(".lane svg")) from = { x: e.clientX, moved: false }; });
    addEventListener("pointermove", (e) => {
      if (!from || Math.abs(e.clientX - from.x) < 4) return;
      this.pan(from.x - e.clientX);
      from = { x: e.clientX, moved: true };
    });
    addEventListener("pointerup", (e) => {
      if (from && !from.moved) {
        const box = lanes.querySelector(".lane svg").getBoundingClientRect();
        this.goTo(this.scale.inverse(e.clientX - box.left));
      }
      from = null;
    });
    lanes.addEventListener("wheel", (e) => {
      if (!e.ctrlKey) return; // a plain wheel must scroll
      e.preventDefault();
      const box = lanes.querySelector(".lane svg").getBoundingClientRect();
      this.zoom(e.deltaY > 0 ? 1.25 : 0.8, this.scale.inverse(e.clientX - box.left));
    }, { passive: false });
    let begun = null;
    overview.addEventListener("pointerdown", (e) => { begun = e.offsetX; overview.setPointerCapture(e.pointerId); });
    overview.addEventListener("pointerup", (e) => {
      if (begun === null) return;
      const t = (x) => Math.round(x / overview.clientWidth * this.end), v = this.view, length = v.to - v.from;
      [v.from, v.to] = Math.abs(e.offsetX - begun) > 4 ? [t(Math.min(begun, e.offsetX)), t(Math.max(begun, e.offsetX)) + 1] : [t(e.offsetX) - length / 2, t(e.offsetX) + length / 2].map(Math.round);
      begun = null;
      this.draw();
    });
  }
}

