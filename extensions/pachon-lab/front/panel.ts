import type { CommandRegistry } from '@lumino/commands';
import type { Message } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';

import { ask, listen } from './connection';
import { COMMANDS } from './commands';
import { queriesIcon } from './icons';
import type { Panel, Run, Running, Summary } from './models';

const TYPING_PAUSE_MS = 250;
const EVENTS_PAUSE_MS = 100;
const TICK_MS = 1_000;

/** The side panel: what runs, my queries, those shared with me, and runs of any program; one can search. */
export class QueriesPanel extends Widget {
  /** Names of the templates that notebooks can be made by. */
  templates: string[] = [];

  constructor(private readonly commands: CommandRegistry) {
    super();
    this.id = 'pachon-queries';
    this.addClass('pachon-Queries');
    this.title.icon = queriesIcon;
    this.title.caption = 'Queries';
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', 'Queries');
    this.search.type = 'search';
    this.search.placeholder = 'Search name, text, tags, notes';
    this.search.setAttribute('aria-label', 'Search queries');
    this.status.className = 'pachon-Queries-status';
    this.status.setAttribute('role', 'status');
    this.lists.className = 'pachon-Queries-lists';
    const head = element('div', 'pachon-Queries-head');
    head.append(element('h2', '', 'Queries'), this.search);
    this.node.append(head, this.status, this.lists);
    this.search.addEventListener('input', () => this.refreshSoon(TYPING_PAUSE_MS));
    this.search.addEventListener('keydown', event => this.leaveSearch(event));
    this.lists.addEventListener('keydown', event => this.move(event));
    void listen(this.ending.signal, () => this.refreshSoon(EVENTS_PAUSE_MS));
    this.ticking = window.setInterval(() => this.tick(), TICK_MS);
  }

  dispose(): void {
    this.ending.abort();
    window.clearInterval(this.ticking);
    window.clearTimeout(this.waiting);
    super.dispose();
  }

  /** Reads the lists again, at once. */
  async refresh(): Promise<void> {
    const asked = ++this.asked;
    const text = this.search.value.trim();
    try {
      const panel = await ask<Panel>(`queries?text=${encodeURIComponent(text)}`);
      if (asked === this.asked) {
        this.status.textContent = '';
        const shown = JSON.stringify([text, panel]);
        if (shown !== this.shown) {
          this.shown = shown;
          this.templates = panel.templates;
          this.fill(panel, text);
        }
      }
    } catch (error) {
      if (asked === this.asked) {
        this.status.textContent = error instanceof Error ? error.message : String(error);
      }
    }
  }

  protected onActivateRequest(message: Message): void {
    super.onActivateRequest(message);
    this.search.focus();
  }

  private refreshSoon(pauseMs: number): void {
    window.clearTimeout(this.waiting);
    this.waiting = window.setTimeout(() => void this.refresh(), pauseMs);
  }

  private fill(panel: Panel, text: string): void {
    const focused = (document.activeElement as HTMLElement | null)?.dataset.key;
    const isEmpty = !(panel.running.length || panel.mine.length || panel.shared.length || panel.runs.length);
    this.lists.replaceChildren(
      ...(isEmpty ? [text ? element('p', '', `No query has “${text}”.`) : this.welcome()] : []),
      ...this.section('Running', panel.running.map(each => this.running(each))),
      ...this.section('Recent', panel.mine.map(each => this.query(each))),
      ...this.section('Shared with me', panel.shared.map(each => this.query(each, each.owner))),
      ...this.section('Runs of any program', panel.runs.map(each => this.run(each)))
    );
    this.tick();
    if (focused) {
      this.lists.querySelector<HTMLElement>(`[data-key="${CSS.escape(focused)}"]`)?.focus();
    }
  }

  private section(title: string, rows: HTMLElement[]): HTMLElement[] {
    if (!rows.length) {
      return [];
    }
    const section = element('section', '');
    const list = element('ul', '');
    section.setAttribute('aria-label', title);
    list.append(...rows);
    section.append(element('h3', '', title), list);
    return [section];
  }

  /** What an empty panel says. */
  private welcome(): HTMLElement {
    const box = element('div', 'pachon-Queries-welcome');
    box.append(
      element('p', '', 'No queries yet. They come here from every door:'),
      element('p', '', 'Ask in the Portal and give the query a name.'),
      element('p', '', 'Write ADQL in a notebook cell, then Send Cell to Portal.'),
      element('p', '', 'What TOPCAT, pyvo and other programs run shows up here within a second.')
    );
    const row = element('p', '');
    row.append(this.button('Open Portal', 'pachon:open-portal'), this.button('Tutorials', 'pachon:open-tutorials'));
    box.append(row);
    return box;
  }

  private query(query: Summary, owner = ''): HTMLElement {
    const rows = query.row_count === null ? '' : `${query.row_count.toLocaleString('en')} rows`;
    const facts = [owner, told(query.state), rows, `version ${query.version}`].filter(Boolean).join(' · ');
    const row = this.row(query.id, query.name, facts, query.adql, query.changed_at);
    row.dataset.query = query.id;
    row.classList.add('pachon-Query');
    return row;
  }

  private run(run: Run): HTMLElement {
    const facts = [run.client || 'a program', told(run.phase), `${run.row_count.toLocaleString('en')} rows`];
    const row = this.row(run.id, oneLine(run.query), facts.join(' · '), run.query, run.ended_at);
    row.dataset.execution = run.id;
    row.classList.add('pachon-Run');
    return row;
  }

  private running(job: Running): HTMLElement {
    const place = job.in_line ? `place ${job.in_line.position}, about ${Math.ceil(job.in_line.seconds)} s` : '';
    const facts = [job.client, told(job.phase), place].filter(Boolean).join(' · ');
    const row = this.row(job.job, oneLine(job.name), facts, job.adql, '');
    const passed = element('span', 'pachon-passed');
    const bar = element('progress', '') as HTMLProgressElement;
    bar.setAttribute('aria-label', `${job.name} is running`);
    passed.dataset.since = job.created_at;
    row.dataset.job = job.job;
    row.classList.add('pachon-Running');
    if (job.query) {
      row.dataset.query = job.query;
      row.classList.add('pachon-Query');
    }
    row.append(passed, bar, this.button('Cancel', COMMANDS.cancel, { job: job.job }));
    return row;
  }

  /** A row: the name is a button that opens the notebook; the menu of the row has the rest. */
  private row(key: string, name: string, facts: string, title: string, when: string): HTMLElement {
    const row = element('li', '');
    const open = element('button', 'pachon-open', name) as HTMLButtonElement;
    open.dataset.key = key;
    open.title = title;
    open.addEventListener('click', () => void this.commands.execute(COMMANDS.open, { ...row.dataset }));
    const small = element('small', '', facts);
    if (when) {
      small.append(' · ', ago(when));
    }
    const menu = element('button', 'pachon-menu', '⋮') as HTMLButtonElement;
    menu.dataset.key = `${key}-menu`;
    menu.setAttribute('aria-label', `Menu of ${name}`);
    menu.setAttribute('aria-haspopup', 'menu');
    menu.addEventListener('click', () => {
      const { left: clientX, bottom: clientY } = menu.getBoundingClientRect();
      menu.dispatchEvent(new MouseEvent('contextmenu', { bubbles: true, cancelable: true, clientX, clientY }));
    });
    row.append(open, menu, small);
    return row;
  }

  private button(label: string, command: string, args: Record<string, string> = {}): HTMLElement {
    const button = element('button', 'jp-mod-styled jp-mod-minimal pachon-button', label);
    button.addEventListener('click', () => void this.commands.execute(command, args));
    return button;
  }

  /** Down goes to the first row; Escape shows all queries again. */
  private leaveSearch(event: KeyboardEvent): void {
    const first = this.lists.querySelector<HTMLElement>('.pachon-open');
    if (event.key === 'ArrowDown' && first) {
      event.preventDefault();
      first.focus();
    } else if (event.key === 'Escape' && this.search.value) {
      event.preventDefault();
      this.search.value = '';
      void this.refresh();
    }
  }

  /** Up and down go from row to row, Escape back to the field. */
  private move(event: KeyboardEvent): void {
    if (event.key === 'Escape') {
      this.search.focus();
      return;
    }
    const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
    const rows = [...this.lists.querySelectorAll<HTMLElement>('.pachon-open')];
    const here = rows.indexOf((event.target as HTMLElement).closest('li')?.querySelector('.pachon-open') as HTMLElement);
    const next = here < 0 ? undefined : rows[here + step];
    if (step && next) {
      event.preventDefault();
      next.focus();
    }
  }

  /** Tells how long each job runs. */
  private tick(): void {
    for (const passed of this.lists.querySelectorAll<HTMLElement>('[data-since]')) {
      const seconds = Math.max(0, Math.round((Date.now() - Date.parse(passed.dataset.since ?? '')) / 1_000));
      passed.textContent = `${seconds} s`;
    }
  }

  private readonly search = document.createElement('input');
  private readonly status = element('p', '');
  private readonly lists = element('div', '');
  private readonly ending = new AbortController();
  private readonly ticking: number;
  private waiting = 0;
  private asked = 0;
  private shown = '';
}

function element(tag: string, className: string, text = ''): HTMLElement {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

function oneLine(text: string): string {
  return text.split(/\s+/).join(' ').slice(0, 120);
}

const STATES: Record<string, string> = {
  DRAFT: 'not run',
  QUEUED: 'waits for its turn',
  EXECUTING: 'runs',
  COMPLETED: 'done',
  ERROR: 'failed',
  ABORTED: 'cancelled'
};

function told(state: string): string {
  return STATES[state] ?? state.toLowerCase();
}

function ago(when: string): HTMLElement {
  const time = element('time', '', new Date(when).toLocaleString([], { dateStyle: 'short', timeStyle: 'short' }));
  time.setAttribute('datetime', when);
  return time;
}
