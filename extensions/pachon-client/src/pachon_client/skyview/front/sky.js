// An image with rows marked on it. The viewer is Aladin Lite, which comes from the kernel as a file of its own and is loaded
// unchanged; nothing is asked of other hosts, but the tiles of a HiPS of the address that a person gave.

const HIDDEN = [
  'showSettingsControl', 'showProjectionControl', 'showSimbadPointerControl', 'showShareControl', 'showLayersControl',
  'showFullscreenControl', 'showContextMenu', 'showReticle', 'showFrame', 'samp', 'log'
];
const MARK = { sourceSize: 10, color: '#f6a04d' };
const CHOSEN = { sourceSize: 18, color: '#5fe3d0', shape: 'circle' };
const STEP = 0.15;
const ZOOM = 1.5;

function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

const blobAddress = (bytes, type) => URL.createObjectURL(new Blob([bytes], { type }));

class Sky {
  constructor(model, host) {
    this.model = model;
    this.id = String(Math.random());
    this.status = element('p', { role: 'status', className: 'pachon-status' }, 'Loading the viewer\u2026');
    const act = (label, title, onclick) => element('button', { type: 'button', title, onclick }, label);
    this.tools = element('div', { className: 'pachon-tools', role: 'toolbar', 'aria-label': 'Tools of the image', hidden: true },
      act('Box', 'Then drag a box to select', () => this.drawBox()),
      act('Select view', 'Select the rows in sight', () => this.selectView()),
      act('Clear', 'Select nothing', () => this.select([])),
      act('+', 'Zoom in', () => this.zoom(1 / ZOOM)),
      act('\u2212', 'Zoom out', () => this.zoom(ZOOM)),
      act('Home', 'Back to where the image begins', () => this.goHome()));
    const keys = 'Image of the sky. Arrow keys move, plus and minus zoom, 0 goes back, Enter selects the rows in sight.';
    this.place = element('div', { className: 'pachon-image', tabIndex: 0, role: 'application', 'aria-label': keys });
    this.node = element('div', { className: 'pachon-skyview', 'data-lm-suppress-shortcuts': 'true' },
      this.status, this.tools, this.place);
    this.place.addEventListener('keydown', event => this.key(event));
    host.append(this.node);
    this.addresses = [];
    this.hear = (message, buffers) => this.took(message, buffers);
    model.on('msg:custom', this.hear);
    this.send({ kind: 'start' });
  }

  close() {
    this.model.off('msg:custom', this.hear);
    this.addresses.forEach(address => URL.revokeObjectURL(address));
  }

  send(message) {
    this.model.send({ ...message, view: this.id });
  }

  took(message, buffers) {
    if (message.kind === 'selected') this.say(message.count);
    else if (message.kind === 'said') this.status.textContent = message.text;
    else if (message.view === this.id) this.show(message, buffers).catch(error => this.fail(error));
  }

  fail(error) {
    this.status.textContent = `The image cannot be shown: ${error?.message ?? error}`;
  }

  say(count) {
    const marked = this.sources.length.toLocaleString('en-US');
    this.status.textContent = `${this.name}: ${marked} rows marked, ${count.toLocaleString('en-US')} selected`;
  }

  async show(message, [program, positions, fits]) {
    this.name = message.name;
    const module = blobAddress(program, 'text/javascript');
    const A = (await import(module)).default;
    URL.revokeObjectURL(module);
    await A.init;
    const places = new Float64Array(positions.buffer.slice(positions.byteOffset, positions.byteOffset + positions.byteLength));
    this.sources = Array.from({ length: places.length / 2 }, (_, row) => A.source(places[2 * row], places[2 * row + 1], { row }));
    const options = { survey: this.layer(A, message, fits), fov: 1, cooFrame: 'ICRSd', showCooGrid: false, hipsList: [] };
    for (const name of HIDDEN) options[name] = false;
    this.aladin = A.aladin(this.place, options);
    this.goHome();
    const catalogue = A.catalog({ name: 'rows', ...MARK });
    this.chosen = A.catalog({ name: 'selected', ...CHOSEN });
    this.aladin.addCatalog(catalogue);
    this.aladin.addCatalog(this.chosen);
    catalogue.addSources(this.sources);
    this.marked = source => A.source(source.ra, source.dec, source.data);
    this.tools.hidden = false;
    this.say(0);
  }

  layer(A, message, fits) {
    if (message.address) return A.imageHiPS(message.address, { errorCallback: error => this.fail(error) });
    const address = blobAddress(fits, 'application/fits');
    this.addresses.push(address);
    return A.image(address, {
      name: message.name,
      successCallback: (ra, dec, fov) => {
        this.home = [ra, dec, fov];
        this.goHome();
      },
      errorCallback: error => this.fail(error)
    });
  }

  goHome() {
    const first = this.sources[0];
    const [ra, dec, fov] = this.home ?? (first ? [first.ra, first.dec, 1] : [0, 0, 180]);
    this.aladin.gotoRaDec(ra, dec);
    this.aladin.setFov(fov);
  }

  zoom(factor) {
    this.aladin.setFov(Math.min(180, this.aladin.getFov()[0] * factor));
  }

  move(across, up) {
    const [width, height] = this.aladin.getSize();
    const place = this.aladin.pix2world(width * (0.5 + across), height * (0.5 - up), 'icrs');
    if (place) this.aladin.gotoRaDec(...place);
  }

  drawBox() {
    this.aladin.select('rect', (_, found) => this.select(found.flat()));
  }

  selectView() {
    const [width, height] = this.aladin.getSize();
    const isInSight = source => {
      const at = this.aladin.world2pix(source.ra, source.dec);
      return at && at[0] >= 0 && at[0] <= width && at[1] >= 0 && at[1] <= height;
    };
    this.select(this.sources.filter(isInSight));
  }

  select(sources) {
    const marks = [...new Set(sources.map(source => source.data.row))];
    this.chosen.removeAll();
    this.chosen.addSources(marks.map(row => this.marked(this.sources[row])));
    this.send({ kind: 'select', marks });
  }

  key(event) {
    if (!this.aladin || event.ctrlKey || event.altKey || event.metaKey) return;
    const acts = {
      ArrowLeft: () => this.move(-STEP, 0), ArrowRight: () => this.move(STEP, 0),
      ArrowUp: () => this.move(0, STEP), ArrowDown: () => this.move(0, -STEP),
      '+': () => this.zoom(1 / ZOOM), '=': () => this.zoom(1 / ZOOM), '-': () => this.zoom(ZOOM),
      0: () => this.goHome(), Enter: () => this.selectView()
    };
    const act = acts[event.key];
    if (!act || event.target !== this.place) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  }
}

export default {
  render({ model, el }) {
    const sky = new Sky(model, el);
    return () => sky.close();
  }
};
