// Table, map and plot of the rows that a kernel holds. The kernel draws: this shows its pictures, tells it what a person
// does, and pages through the table. Messages: messages.py.

const MARGIN = { left: 58, right: 12, top: 8, bottom: 42 };
const PAGE_ROWS = 10;
const ZOOM = 1.5;
const LASSO_POINTS = 2000;
const SHADES = 127;
const COLOURS = {
  light: { rows: ['#8f9ff0', '#5c70da', '#3449bd', '#141c5c'], selected: ['#e8873a', '#c2560a', '#8a3a00'] },
  dark: { rows: ['#4a5bb0', '#7187e6', '#a9b9ff', '#f3f5ff'], selected: ['#c9741f', '#f6a04d', '#ffd2a1'] }
};
const TOOLS = [
  ['pan', 'Move', 'Drag to move; turn the wheel to zoom'],
  ['box', 'Box', 'Drag a box to select'],
  ['lasso', 'Lasso', 'Draw round rows to select']
];

const count = number => number.toLocaleString('en-US');

function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in made && name !== 'list') made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

/** Whether the page is dark: as JupyterLab says, else as the system says. */
function isDark() {
  const told = document.body.dataset.jpThemeLight;
  return told === undefined ? matchMedia('(prefers-color-scheme: dark)').matches : told === 'false';
}

/** Calls back when the page turns light or dark; returns what ends that. */
function watchTheme(changed) {
  const observer = new MutationObserver(changed);
  observer.observe(document.body, { attributeFilter: ['data-jp-theme-light'] });
  const scheme = matchMedia('(prefers-color-scheme: dark)');
  scheme.addEventListener('change', changed);
  return () => {
    observer.disconnect();
    scheme.removeEventListener('change', changed);
  };
}

/** Red, green, blue, opacity of each of the 256 shades of a picture. */
function palette() {
  const colours = COLOURS[isDark() ? 'dark' : 'light'];
  const bytes = new Uint8ClampedArray(4 * 256);
  const put = (stops, first, last) => {
    for (let shade = first; shade <= last; shade++) {
      const place = ((shade - first) / (last - first)) * (stops.length - 1);
      const at = Math.min(Math.floor(place), stops.length - 2);
      for (let part = 0; part < 3; part++) {
        const [from, to] = [at, at + 1].map(stop => parseInt(stops[stop].slice(1 + 2 * part, 3 + 2 * part), 16));
        bytes[4 * shade + part] = from + (to - from) * (place - at);
      }
      bytes[4 * shade + 3] = 255;
    }
  };
  put(colours.rows, 1, SHADES);
  put(colours.selected, SHADES + 1, 255);
  return bytes;
}

async function inflated(buffer) {
  const stream = new Blob([buffer]).stream().pipeThrough(new DecompressionStream('deflate'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Round values between two ends, about one each `gap` of the `length` pixels. */
function ticks(low, high, length, gap) {
  const least = ((high - low) * gap) / length;
  const power = 10 ** Math.floor(Math.log10(least));
  const step = power * [1, 2, 5, 10].find(factor => factor * power >= least * (1 - 1e-9));
  const digits = Math.min(15, Math.max(0, -Math.floor(Math.log10(step) + 1e-9)));
  const found = [];
  for (let number = Math.ceil(low / step); number * step <= high; number++) {
    const value = number * step;
    const isLong = Math.abs(value) >= 1e7;
    found.push([value, isLong ? value.toPrecision(6) : value.toFixed(digits).replace('-', '\u2212')]);
  }
  return found;
}

/** One plane with its picture, its tools and what a person does on it. */
class Plot {
  constructor(name, title, browser) {
    this.name = name;
    this.title = title;
    this.browser = browser;
    this.tool = 'box';
    this.waiting = false;
    this.isStale = false;
    this.shades = null;
    this.drag = null;
    this.canvas = element('canvas', { tabIndex: 0, className: 'pachon-canvas', role: 'application' });
    this.readout = element('p', { className: 'pachon-muted', role: 'status' });
    this.note = element('p', { className: 'pachon-empty' });
    this.tools = TOOLS.map(([tool, label, about]) =>
      element('button', { type: 'button', title: about, onclick: () => this.use(tool), 'aria-pressed': tool === this.tool }, label)
    );
    const act = (label, about, onclick) => element('button', { type: 'button', title: about, 'aria-label': about, onclick }, label);
    this.bar = element('div', { className: 'pachon-tools', role: 'toolbar', 'aria-label': `${title}: tools` },
      ...this.tools,
      act('+', 'Zoom in', () => this.zoom(1 / ZOOM)),
      act('\u2212', 'Zoom out', () => this.zoom(ZOOM)),
      act('Whole', 'Show all rows', () => this.goHome()),
      act('Select view', 'Select what is in sight', () => this.selectBox(this.window))
    );
    this.stage = element('div', { className: 'pachon-stage' }, this.canvas, this.note);
    this.node = element('section', { className: `pachon-plot pachon-${name}`, 'aria-label': title },
      element('h4', {}, title), this.bar, this.stage, this.readout);
    this.listen();
  }

  listen() {
    const on = (kind, act, options) => this.canvas.addEventListener(kind, act, options);
    on('pointerdown', event => this.begin(event));
    on('pointermove', event => this.go(event));
    on('pointerup', event => this.end(event));
    on('pointercancel', () => this.cancel());
    on('wheel', event => this.wheel(event), { passive: false });
    on('keydown', event => this.key(event));
    this.resizes = new ResizeObserver(() => this.resized());
    this.resizes.observe(this.stage);
  }

  close() {
    this.resizes.disconnect();
  }

  show(plane, missing) {
    this.plane = plane;
    this.stage.classList.toggle('pachon-without', !plane);
    this.bar.hidden = !plane;
    this.note.textContent = plane ? '' : missing;
    this.readout.textContent = '';
    if (!plane) return;
    const keys = 'Arrow keys move, plus and minus zoom, 0 shows all, Enter selects what is in sight.';
    this.canvas.setAttribute('aria-label', `${this.title}. ${keys}`);
    this.window = null;
    this.shades = null;
    this.resized();
  }

  get area() {
    const { clientWidth, clientHeight } = this.canvas;
    const margin = this.plane.kind === 'sky' ? { left: 0, right: 0, top: 0, bottom: 0 } : MARGIN;
    return {
      left: margin.left, top: margin.top,
      width: Math.max(1, clientWidth - margin.left - margin.right),
      height: Math.max(1, clientHeight - margin.top - margin.bottom)
    };
  }

  resized() {
    if (!this.plane || !this.canvas.clientWidth) return;
    this.ratio = Math.min(2, window.devicePixelRatio || 1);
    this.canvas.width = Math.round(this.canvas.clientWidth * this.ratio);
    this.canvas.height = Math.round(this.canvas.clientHeight * this.ratio);
    this.window = this.fitted(this.window ?? this.plane.window);
    this.paint();
    this.ask();
  }

  /** The least window around another that has the shape of the area; degrees of the sky are as long both ways. */
  fitted([left, right, low, high]) {
    if (this.plane.kind !== 'sky') return [left, right, low, high];
    const { width, height } = this.area;
    const scale = Math.max((right - left) / width, (high - low) / height);
    const [x, y] = [(left + right) / 2, (low + high) / 2];
    return [x - (scale * width) / 2, x + (scale * width) / 2, y - (scale * height) / 2, y + (scale * height) / 2];
  }

  use(tool) {
    this.tool = tool;
    this.tools.forEach((button, at) => button.setAttribute('aria-pressed', TOOLS[at][0] === tool));
    this.canvas.dataset.tool = tool;
  }

  goHome() {
    this.look(this.fitted(this.plane.home));
  }

  look(window) {
    this.window = window;
    this.paint();
    this.ask();
  }

  zoom(factor, about = [(this.window[0] + this.window[1]) / 2, (this.window[2] + this.window[3]) / 2]) {
    const around = (end, middle) => middle + (end - middle) * factor;
    const [left, right, low, high] = this.window;
    const [x, y] = about;
    const next = [around(left, x), around(right, x), around(low, y), around(high, y)];
    const isTooNear = next[1] - next[0] <= 1e-13 * Math.max(Math.abs(next[0]), Math.abs(next[1]));
    if (!isTooNear && next.every(Number.isFinite)) this.look(next);
  }

  move(across, up) {
    const [left, right, low, high] = this.window;
    const [dx, dy] = [across * (right - left), up * (high - low)];
    this.look([left + dx, right + dx, low + dy, high + dy]);
  }

  /** Draws the newest window; while the kernel draws one, only the last that is wanted is remembered. */
  ask() {
    if (!this.plane || !this.window) return;
    if (this.waiting) {
      this.isStale = true;
      return;
    }
    this.waiting = true;
    this.isStale = false;
    const { width, height } = this.area;
    const size = [width, height].map(side => Math.max(1, Math.round(side * this.ratio)));
    this.browser.send({ kind: 'draw', plane: this.name, window: this.window, size });
  }

  async took(message, buffer) {
    const shades = await inflated(buffer);
    this.waiting = false;
    this.shades = shades;
    this.picture = message;
    this.colour();
    this.paint();
    const all = `${count(message.rows)} row${message.rows === 1 ? '' : 's'} in sight`;
    this.readout.textContent = `${all}, ${count(message.selected)} of them selected`;
    if (this.isStale) this.ask();
  }

  /** The picture in the colours of the theme. */
  colour() {
    if (!this.shades) return;
    const colours = new Uint32Array(palette().buffer);
    const [width, height] = this.picture.size;
    const pixels = new Uint32Array(this.shades.length);
    for (let at = 0; at < pixels.length; at++) pixels[at] = colours[this.shades[at]];
    this.drawn = new OffscreenCanvas(width, height);
    this.drawn.getContext('2d').putImageData(new ImageData(new Uint8ClampedArray(pixels.buffer), width, height), 0, 0);
  }

  paint() {
    if (!this.plane || !this.window) return;
    const pen = this.canvas.getContext('2d');
    const style = getComputedStyle(this.node);
    this.ink = style.getPropertyValue('--pachon-muted').trim();
    pen.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    pen.clearRect(0, 0, this.canvas.clientWidth, this.canvas.clientHeight);
    pen.font = '12px system-ui, sans-serif';
    const { left, top, width, height } = this.area;
    pen.save();
    pen.beginPath();
    pen.rect(left, top, width, height);
    pen.clip();
    if (this.drawn && this.shades) {
      const [x0, x1, y0, y1] = this.picture.window;
      const [from, to] = [this.toScreen([x0, y1]), this.toScreen([x1, y0])];
      pen.imageSmoothingEnabled = false;
      pen.drawImage(this.drawn, from[0], from[1], to[0] - from[0], to[1] - from[1]);
    }
    if (this.plane.kind === 'sky') this.drawLines(pen);
    pen.restore();
    if (this.plane.kind !== 'sky') this.drawAxes(pen);
    this.drawDrag(pen);
  }

  toScreen([x, y]) {
    const { left, top, width, height } = this.area;
    const [x0, x1, y0, y1] = this.window;
    return [left + ((x - x0) / (x1 - x0)) * width, top + ((y1 - y) / (y1 - y0)) * height];
  }

  toPlane([x, y]) {
    const { left, top, width, height } = this.area;
    const [x0, x1, y0, y1] = this.window;
    return [x0 + ((x - left) / width) * (x1 - x0), y1 - ((y - top) / height) * (y1 - y0)];
  }

  drawLines(pen) {
    const { width, height } = this.area;
    pen.strokeStyle = pen.fillStyle = this.ink;
    for (const line of this.picture?.lines ?? []) {
      pen.globalAlpha = 0.35;
      pen.beginPath();
      let label = null;
      let before = null;
      for (const point of line.points) {
        const at = point && this.toScreen(point);
        if (at && before) pen.lineTo(...at);
        else if (at) pen.moveTo(...at);
        const isIn = at && at[0] >= 0 && at[0] <= width && at[1] >= 0 && at[1] <= height;
        const isBetter = isIn && (!label || (line.meridian ? at[1] > label[1] : at[0] < label[0]));
        if (isBetter) label = at;
        before = at;
      }
      pen.stroke();
      pen.globalAlpha = 1;
      if (label) this.write(pen, line.label, Math.min(label[0] + 4, width - 40), Math.max(14, Math.min(label[1] - 4, height - 6)));
    }
  }

  /** Text that is read above any picture. */
  write(pen, text, x, y) {
    pen.fillStyle = getComputedStyle(this.stage).backgroundColor;
    pen.globalAlpha = 0.8;
    pen.fillRect(x - 3, y - 12, pen.measureText(text).width + 6, 16);
    pen.globalAlpha = 1;
    pen.fillStyle = this.ink;
    pen.fillText(text, x, y);
  }

  drawAxes(pen) {
    const { left, top, width, height } = this.area;
    const [x0, x1, y0, y1] = this.window;
    pen.strokeStyle = pen.fillStyle = this.ink;
    pen.globalAlpha = 0.4;
    pen.strokeRect(left + 0.5, top + 0.5, width - 1, height - 1);
    pen.globalAlpha = 1;
    pen.textAlign = 'center';
    for (const [value, label] of ticks(x0, x1, width, 80)) {
      pen.fillText(label, this.toScreen([value, y0])[0], top + height + 15);
    }
    pen.fillText(this.plane.x.title, left + width / 2, top + height + 34, width);
    pen.textAlign = 'right';
    const sign = this.plane.y.inverted ? -1 : 1;
    const ends = sign > 0 ? [y0, y1] : [-y1, -y0];
    for (const [value, label] of ticks(...ends, height, 40)) {
      pen.fillText(label, left - 5, this.toScreen([x0, sign * value])[1] + 4);
    }
    pen.save();
    pen.translate(13, top + height / 2);
    pen.rotate(-Math.PI / 2);
    pen.textAlign = 'center';
    pen.fillText(this.plane.y.title, 0, 0, height);
    pen.restore();
    pen.textAlign = 'left';
  }

  drawDrag(pen) {
    if (!this.drag || this.drag.tool === 'pan') return;
    pen.strokeStyle = getComputedStyle(this.node).getPropertyValue('--pachon-selected').trim();
    pen.setLineDash([5, 3]);
    pen.lineWidth = 1.5;
    const points = this.drag.points;
    pen.beginPath();
    if (this.drag.tool === 'box') {
      const [[x0, y0], [x1, y1]] = [points[0], points.at(-1)];
      pen.rect(x0, y0, x1 - x0, y1 - y0);
    } else {
      points.forEach((point, at) => (at ? pen.lineTo(...point) : pen.moveTo(...point)));
      pen.closePath();
    }
    pen.stroke();
    pen.setLineDash([]);
    pen.lineWidth = 1;
  }

  begin(event) {
    if (event.button !== 0 || !this.plane) return;
    this.canvas.focus({ preventScroll: true });
    this.canvas.setPointerCapture(event.pointerId);
    this.drag = { tool: event.shiftKey ? 'pan' : this.tool, points: [[event.offsetX, event.offsetY]], window: this.window };
  }

  go(event) {
    if (!this.drag) return;
    const here = [event.offsetX, event.offsetY];
    const drag = this.drag;
    if (drag.tool !== 'pan') {
      if (drag.tool === 'lasso') drag.points.push(here);
      else drag.points[1] = here;
      this.paint();
      return;
    }
    const { width, height } = this.area;
    const [left, right, low, high] = drag.window;
    const dx = ((here[0] - drag.points[0][0]) / width) * (right - left);
    const dy = ((here[1] - drag.points[0][1]) / height) * (high - low);
    this.look([left - dx, right - dx, low + dy, high + dy]);
  }

  end(event) {
    const drag = this.drag;
    this.drag = null;
    if (!drag || drag.tool === 'pan') return;
    const points = drag.points.concat([[event.offsetX, event.offsetY]]).map(point => this.toPlane(point));
    this.paint();
    if (drag.tool === 'lasso') {
      const step = Math.ceil(points.length / LASSO_POINTS);
      this.browser.select({ plane: this.name, shape: 'lasso', points: points.filter((_, at) => at % step === 0) });
      return;
    }
    const [from, to] = [points[0], points.at(-1)];
    const sorted = part => [from[part], to[part]].sort((one, other) => one - other);
    const box = [...sorted(0), ...sorted(1)];
    if (box[0] < box[1] && box[2] < box[3]) this.selectBox(box);
  }

  cancel() {
    this.drag = null;
    this.paint();
  }

  selectBox(box) {
    this.browser.select({ plane: this.name, shape: 'box', window: box });
  }

  wheel(event) {
    if (document.activeElement !== this.canvas || !this.plane) return;
    event.preventDefault();
    this.zoom(Math.exp(Math.max(-1, Math.min(1, event.deltaY / 300))), this.toPlane([event.offsetX, event.offsetY]));
  }

  key(event) {
    if (!this.plane || event.ctrlKey || event.altKey || event.metaKey) return;
    const acts = {
      ArrowLeft: () => this.move(-0.1, 0), ArrowRight: () => this.move(0.1, 0),
      ArrowUp: () => this.move(0, 0.1), ArrowDown: () => this.move(0, -0.1),
      '+': () => this.zoom(1 / ZOOM), '=': () => this.zoom(1 / ZOOM), '-': () => this.zoom(ZOOM),
      0: () => this.goHome(), Enter: () => this.selectBox(this.window), Escape: () => this.cancel()
    };
    const act = acts[event.key];
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  }
}

/** The rows, a page at a time. */
class Table {
  constructor(browser) {
    this.browser = browser;
    this.first = 0;
    this.sort = null;
    this.descending = false;
    this.only = element('input', { type: 'checkbox', onchange: () => this.turn(0) });
    this.place = element('span', { role: 'status' });
    const button = (label, by) => element('button', { type: 'button', onclick: () => this.turn(this.first + by) }, label);
    this.back = button('Previous', -PAGE_ROWS);
    this.forth = button('Next', PAGE_ROWS);
    this.grid = element('div', { className: 'pachon-grid', tabIndex: 0, role: 'region', 'aria-label': 'Rows' });
    this.node = element('section', { className: 'pachon-table', 'aria-label': 'Table' },
      element('div', { className: 'pachon-tools' }, this.back, this.forth, this.place,
        element('label', {}, this.only, ' Only selected rows')),
      this.grid);
  }

  turn(first) {
    this.first = first;
    this.ask();
  }

  ask() {
    const { first, sort, descending } = this;
    this.browser.send({ kind: 'table', first, count: PAGE_ROWS, sort, descending, selected_only: this.only.checked });
  }

  took(page) {
    this.first = page.first;
    [this.sort, this.descending] = page.sort ?? [null, false];
    const last = page.first + page.cells.length;
    const more = page.left_out ? `; ${page.left_out} columns are not shown` : '';
    this.place.textContent = page.total ? `${count(page.first + 1)}\u2013${count(last)} of ${count(page.total)}${more}` : 'No rows';
    this.back.disabled = page.first === 0;
    this.forth.disabled = last >= page.total;
    const focused = document.activeElement?.dataset?.pachonKey;
    const head = element('tr', {}, element('th', { scope: 'col' }, element('span', { className: 'pachon-hidden' }, 'Selected')),
      ...page.columns.map(column => this.header(column)));
    const rows = page.cells.map((cells, at) => this.row(page.numbers[at], page.chosen[at], cells));
    this.grid.replaceChildren(element('table', {}, element('thead', {}, head), element('tbody', {}, ...rows)));
    if (focused) this.grid.querySelector(`[data-pachon-key="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  }

  header(column) {
    const isSorted = column.name === this.sort;
    const order = isSorted ? (this.descending ? 'descending' : 'ascending') : 'none';
    const mark = isSorted ? (this.descending ? ' \u25be' : ' \u25b4') : '';
    const sort = () => {
      [this.sort, this.descending] = isSorted && this.descending ? [null, false] : [column.name, isSorted];
      this.turn(0);
    };
    const button = element('button', { type: 'button', title: column.about, onclick: sort, 'data-pachon-key': `sort ${column.name}` },
      `${column.name}${mark}`);
    return element('th', { scope: 'col', 'aria-sort': order }, button, element('small', {}, column.unit));
  }

  row(number, isChosen, cells) {
    const box = element('input', {
      type: 'checkbox', checked: isChosen, 'aria-label': `Select row ${count(number + 1)}`, 'data-pachon-key': `row ${number}`,
      onchange: () => this.browser.send({ kind: 'row', row: number, chosen: box.checked })
    });
    const shown = cells.map(cell => (cell === null ? element('td', { className: 'pachon-muted' }, 'none') : element('td', {}, cell)));
    return element('tr', isChosen ? { className: 'pachon-chosen' } : {}, element('td', {}, box), ...shown);
  }
}

class Browse {
  constructor(model, host) {
    this.model = model;
    this.id = crypto.randomUUID?.() ?? String(Math.random());
    this.plots = { sky: new Plot('sky', 'Sky', this), plot: new Plot('plot', 'Plot', this) };
    this.table = new Table(this);
    this.mode = element('select', { 'aria-label': 'What a new shape does' },
      ...[['new', 'New selection'], ['add', 'Add to selection'], ['narrow', 'Narrow selection']].map(
        ([value, label]) => element('option', { value }, label)));
    this.clear = element('button', { type: 'button', onclick: () => this.send({ kind: 'clear' }) }, 'Clear');
    this.status = element('p', { role: 'status', className: 'pachon-status' });
    this.said = element('p', { role: 'alert', className: 'pachon-said' });
    this.adql = element('pre', { tabIndex: 0 });
    this.condition = element('details', {}, element('summary', {}, 'The selection in ADQL'), this.adql);
    this.columns = element('datalist', { id: `columns-${this.id}` });
    this.axes = ['x', 'y'].map(() => element('input', { type: 'text', list: this.columns.id, spellcheck: false, onchange: () => this.plotOther() }));
    this.axesForm = element('div', { className: 'pachon-tools' },
      element('label', {}, 'Across ', this.axes[0]), element('label', {}, 'Up ', this.axes[1]), this.columns);
    this.plots.plot.node.insertBefore(this.axesForm, this.plots.plot.bar);
    this.node = element('div', { className: 'pachon-browse', 'data-lm-suppress-shortcuts': 'true' },
      element('div', { className: 'pachon-tools' }, this.status, this.mode, this.clear), this.said,
      element('div', { className: 'pachon-planes' }, this.plots.sky.node, this.plots.plot.node),
      this.table.node, this.condition);
    host.append(this.node);
    this.hear = (message, buffers) => this.took(message, buffers);
    model.on('msg:custom', this.hear);
    this.unwatch = watchTheme(() => Object.values(this.plots).forEach(plot => { plot.colour(); plot.paint(); }));
    this.send({ kind: 'start' });
  }

  close() {
    this.model.off('msg:custom', this.hear);
    this.unwatch();
    Object.values(this.plots).forEach(plot => plot.close());
  }

  send(message) {
    this.model.send({ ...message, view: this.id });
  }

  select(shape) {
    this.send({ kind: 'select', mode: this.mode.value, ...shape });
  }

  plotOther() {
    const [x, y] = this.axes.map(field => field.value);
    this.send({ kind: 'axes', x, y });
  }

  took(message, buffers) {
    if (message.view && message.view !== this.id) return;
    if (message.kind === 'picture') this.plots[message.plane].took(message, buffers[0]);
    else if (message.kind === 'table') this.table.took(message);
    else if (message.kind === 'said') this.say(message.text);
    else if (message.kind === 'state') this.showState(message);
  }

  say(text) {
    this.said.textContent = text;
    Object.values(this.plots).forEach(plot => { plot.waiting = false; });
  }

  showState(state) {
    this.say(state.remark);
    const cut = state.overflow ? ' (cut at the row limit)' : '';
    this.status.textContent = `${count(state.rows)} row${state.rows === 1 ? '' : 's'}${cut}, ${count(state.selected)} selected`;
    this.clear.disabled = state.selected === 0 && !state.adql;
    this.adql.textContent = state.adql || 'Nothing is selected.';
    this.node.dataset.selected = state.selected;
    [this.table.sort, this.table.descending] = state.sort ?? [null, false];
    const { sky, plot } = state.planes;
    if (!state.changed) {
      this.columns.replaceChildren(...state.numeric.map(value => element('option', { value })));
      this.axesForm.hidden = !plot;
      if (plot) this.axes.forEach((field, at) => { field.value = plot['xy'[at]].expression; });
      if (!state.axes) this.plots.sky.show(sky, this.withoutSky(state));
      this.plots.plot.show(plot, state.rows ? 'A plot needs two columns of numbers.' : 'No rows: there is nothing to plot.');
    } else {
      Object.values(this.plots).forEach(each => each.ask());
    }
    if (!state.axes) this.table.ask();
    this.placed(state);
  }

  withoutSky(state) {
    if (!state.rows) return 'No rows: there is nothing on the map.';
    if (!state.has_position) return 'No map: the rows have no columns with the UCDs pos.eq.ra and pos.eq.dec, and none named ra and dec.';
    return 'No map: no row has a known position.';
  }

  /** Rows that a plane cannot show are said beside it. */
  placed(state) {
    for (const [name, plane] of Object.entries(state.planes)) {
      const lost = state.rows - plane.placed;
      const what = name === 'sky' ? 'no known position' : 'no value here';
      this.plots[name].note.textContent = lost ? `${count(lost)} row${lost === 1 ? ' has' : 's have'} ${what}.` : '';
    }
  }
}

export default {
  render({ model, el }) {
    const browse = new Browse(model, el);
    return () => browse.close();
  }
};
