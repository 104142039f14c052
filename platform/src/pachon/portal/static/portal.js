// What the page itself does: names for the map's buttons, keys on the map, what dragging on it means,
// and a list of queries that makes room on narrow screens.

const names = {
  'zoom-in': 'Zoom in', 'zoom-out': 'Zoom out', 'pan-left': 'Move left', 'pan-right': 'Move right',
  'pan-up': 'Move up', 'pan-down': 'Move down', 'whole-sky': 'Show the whole sky',
};
const keys = {
  '+': 'zoom-in', '=': 'zoom-in', '-': 'zoom-out', '0': 'whole-sky',
  ArrowLeft: 'pan-left', ArrowRight: 'pan-right', ArrowUp: 'pan-up', ArrowDown: 'pan-down',
};

// Widgets live in nested shadow roots.
function deep(selector, root = document) {
  const found = root.querySelector(selector);
  if (found) return found;
  for (const element of root.querySelectorAll('*')) {
    const inside = element.shadowRoot && deep(selector, element.shadowRoot);
    if (inside) return inside;
  }
  return null;
}

function mapButton(name) {
  return deep(`.${name}`)?.shadowRoot?.querySelector('button') ?? null;
}

function nameButtons() {
  let complete = true;
  for (const [name, label] of Object.entries(names)) {
    const button = mapButton(name);
    if (!button) { complete = false; continue; }
    button.setAttribute('aria-label', label);
    button.title = label;
  }
  if (!complete) setTimeout(nameButtons, 200);
}

function setUpKeys() {
  const frame = document.getElementById('sky-map');
  frame.addEventListener('keydown', (event) => {
    const name = keys[event.key];
    if (!name || event.target !== frame || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    mapButton(name)?.click();
  });
}

function setUpModes() {
  const buttons = [...document.querySelectorAll('.sky-mode button')];
  for (const button of buttons) {
    button.addEventListener('click', () => {
      const figure = window.Bokeh?.documents?.[0]?.get_model_by_name('sky');
      const tool = figure?.toolbar.tools.find((candidate) => candidate.type === button.dataset.tool);
      if (!tool) return;
      tool.active = true;
      for (const other of buttons) other.setAttribute('aria-pressed', String(other === button));
    });
  }
}

// Where all stands in one column, the list of queries is folded so that the results follow the search.
function foldHistory() {
  if (window.matchMedia('(max-width: 62rem)').matches) document.getElementById('history').open = false;
}

nameButtons();
foldHistory();
setUpKeys();
setUpModes();
