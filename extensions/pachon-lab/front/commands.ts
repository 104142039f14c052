import type { JupyterFrontEnd } from '@jupyterlab/application';
import { Clipboard, InputDialog, Notification, showErrorMessage } from '@jupyterlab/apputils';
import type { INotebookTracker } from '@jupyterlab/notebook';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import { ask } from './connection';
import { openInTab } from './doors';
import { queriesIcon } from './icons';
import type { Query, Tie } from './models';
import type { QueriesPanel } from './panel';

export const COMMANDS = {
  show: 'pachon:show-queries',
  open: 'pachon:open-query',
  openFresh: 'pachon:open-query-in-new-notebook',
  openPortal: 'pachon:open-query-in-portal',
  run: 'pachon:run-query',
  cancel: 'pachon:cancel-query',
  send: 'pachon:send-cell-to-portal',
  copyPython: 'pachon:copy-query-as-python',
  copyPyvo: 'pachon:copy-query-as-pyvo',
  copyTopcat: 'pachon:copy-query-for-topcat'
};

/** The metadata that tie a cell or a notebook to a query. */
const TIE = 'pachon';

/** Ids come from addresses that anybody can make: nothing but an id becomes a part of what is asked of the lab. */
const ID = /^[0-9a-z]{1,40}$/;

/** What a row of the panel says of itself: `query`, `execution` or `job`. */
type Target = { query?: string; execution?: string; job?: string; link?: string };

/** All that one does with queries, as commands. */
export function addCommands(app: JupyterFrontEnd, panel: QueriesPanel, tracker: INotebookTracker): void {
  const { commands } = app;

  const add = (id: string, label: string, caption: string, work: (args: Target) => Promise<unknown>, more = {}): void => {
    commands.addCommand(id, {
      label,
      caption,
      ...more,
      execute: async args => {
        try {
          return await work(targetOf(app, args));
        } catch (error) {
          await showErrorMessage(label, error instanceof Error ? error.message : String(error));
          return undefined;
        }
      }
    });
  };

  add(COMMANDS.show, 'Queries', 'Search, open and run saved queries', async () => app.shell.activateById(panel.id), {
    icon: queriesIcon
  });
  add(COMMANDS.open, 'Open as Notebook', 'Open the notebook of this query', target => openNotebook(app, panel, target, false));
  add(COMMANDS.openFresh, 'Open as New Notebook', 'Make one more notebook of this query', target =>
    openNotebook(app, panel, target, true)
  );
  add(COMMANDS.openPortal, 'Open in Portal', 'See its rows, plots and place on the sky', async target =>
    openInTab((await queryOf(target)).links.portal)
  );
  add(COMMANDS.run, 'Run', 'Run the newest version again', async target => {
    await ask(`queries/${(await queryOf(target)).id}/run`, 'POST', {});
    return panel.refresh();
  });
  add(COMMANDS.cancel, 'Cancel', 'End this run', async target => {
    await ask(`jobs/${idOf(target.job)}/cancel`, 'POST', {});
    return panel.refresh();
  });
  add(COMMANDS.send, 'Send Cell to Portal', 'Run the ADQL of this cell and open it in the Portal', () => sendCell(tracker), {
    isEnabled: () => tracker.activeCell !== null
  });
  const copies = [
    [COMMANDS.copyPython, 'Copy as Python', 'python'],
    [COMMANDS.copyPyvo, 'Copy as pyvo', 'pyvo'],
    [COMMANDS.copyTopcat, 'Copy for TOPCAT and STILTS', 'topcat']
  ] as const;
  for (const [id, label, name] of copies) {
    add(id, label, `${label}: to be pasted elsewhere`, async target => {
      Clipboard.copyToSystem((await queryOf(target)).snippets[name]);
      Notification.success('Copied.', { autoClose: 2_000 });
    });
  }
}

/** Opens the notebook of a query, which the server makes where it is not there yet. */
async function openNotebook(app: JupyterFrontEnd, panel: QueriesPanel, target: Target, fresh: boolean): Promise<unknown> {
  const id = target.query ? idOf(target.query) : (await queryOf(target)).id;
  const template = fresh ? await chosen(panel.templates) : '';
  if (template === null) {
    return undefined;
  }
  const body = { fresh, template, link: target.link ?? '' };
  const { path } = await ask<{ path: string }>(`queries/${id}/notebook`, 'POST', body);
  return app.commands.execute('docmanager:open', { path, factory: 'Notebook' });
}

/** The template that a person chooses, if there is a choice; null if they think better of it. */
async function chosen(templates: string[]): Promise<string | null> {
  if (templates.length < 2) {
    return '';
  }
  return (await InputDialog.getItem({ title: 'Make the notebook by which template?', items: templates })).value;
}

/** Sends the ADQL of the active cell, ties the cell to the query made of it, and opens that in the Portal. */
async function sendCell(tracker: INotebookTracker): Promise<void> {
  const cell = tracker.activeCell;
  const notebook = tracker.currentWidget;
  if (!cell || !notebook) {
    throw new Error('Choose a cell of a notebook first.');
  }
  const body = {
    cell: cell.model.sharedModel.getSource(),
    name: notebook.title.label.replace(/\.ipynb$/, ''),
    tie: cell.model.getMetadata(TIE) ?? null
  };
  const query = await ask<Query>('queries', 'POST', body);
  const tie: Tie = { query_id: query.id, version: query.current.number };
  cell.model.setMetadata(TIE, tie);
  openInTab(query.links.portal);
  Notification.success(`“${query.current.name}”, version ${query.current.number}, is in the Portal.`, {
    autoClose: 8_000,
    actions: [{ label: 'Open in Portal', callback: () => openInTab(query.links.portal) }]
  });
}

/** The saved query of a row; a run of any program becomes one by being opened. */
async function queryOf(target: Target): Promise<Query> {
  if (target.query) {
    return ask<Query>(`queries/${idOf(target.query)}`);
  }
  if (target.execution || target.job) {
    const kept = target.execution ? { execution: target.execution } : { job: target.job };
    const { id } = await ask<Query>('queries', 'POST', kept);
    return ask<Query>(`queries/${id}`);
  }
  throw new Error('Choose a query in the panel first.');
}

function idOf(given: string | undefined): string {
  if (!given || !ID.test(given)) {
    throw new Error(`“${(given ?? '').slice(0, 80)}” is not the id of a query or a job.`);
  }
  return given;
}

/** What a command is for: its arguments, else the row whose menu was opened. */
function targetOf(app: JupyterFrontEnd, args: ReadonlyPartialJSONObject): Target {
  const { query, execution, job, link } = args as Target;
  if (query || execution || job) {
    return { query, execution, job, link };
  }
  const row = app.contextMenuHitTest(node => node.matches('.pachon-Queries li'));
  return row ? { ...row.dataset } : {};
}
