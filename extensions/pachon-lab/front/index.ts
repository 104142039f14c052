import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ILabShell, ILayoutRestorer } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { ILauncher } from '@jupyterlab/launcher';
import { IMainMenu } from '@jupyterlab/mainmenu';
import { INotebookTracker } from '@jupyterlab/notebook';
import { Menu } from '@lumino/widgets';

import { addCommands, COMMANDS } from './commands';
import { ask } from './connection';
import { addDoors, DOORS, type Doors } from './doors';
import { QueriesPanel } from './panel';

const CATEGORY = 'Pachon';
const QUERY_MENU = [
  COMMANDS.open,
  COMMANDS.openFresh,
  COMMANDS.openPortal,
  COMMANDS.run,
  COMMANDS.copyPython,
  COMMANDS.copyPyvo,
  COMMANDS.copyTopcat
];

const plugin: JupyterFrontEndPlugin<void> = {
  id: 'pachon-lab:plugin',
  description: 'A menu with doors to the platform, a panel of its queries, and notebooks that are tied to them.',
  autoStart: true,
  requires: [IMainMenu, INotebookTracker],
  optional: [ILauncher, ICommandPalette, ILayoutRestorer, ILabShell],
  activate: async (
    app: JupyterFrontEnd,
    mainMenu: IMainMenu,
    tracker: INotebookTracker,
    launcher: ILauncher | null,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null,
    labShell: ILabShell | null
  ): Promise<void> => {
    const asked = new URLSearchParams(window.location.search);
    const panel = new QueriesPanel(app.commands);
    addCommands(app, panel, tracker);
    app.shell.add(panel, 'left', { rank: 150 });
    restorer?.add(panel, panel.id);
    for (const selector of ['.pachon-Query', '.pachon-Run']) {
      QUERY_MENU.forEach((command, rank) => app.contextMenu.addItem({ command, selector, rank }));
    }
    app.contextMenu.addItem({ command: COMMANDS.cancel, selector: '.pachon-Running', rank: QUERY_MENU.length });
    app.contextMenu.addItem({ command: COMMANDS.send, selector: '.jp-Notebook .jp-CodeCell', rank: 20 });

    addDoors(app, await ask<Doors>('config'));
    addMenu(app, mainMenu);
    DOORS.forEach(({ id: command }, rank) => {
      launcher?.add({ command, category: CATEGORY, rank, args: { isLauncher: true } });
      palette?.addItem({ command, category: CATEGORY });
    });
    [COMMANDS.show, COMMANDS.send].forEach(command => palette?.addItem({ command, category: CATEGORY }));
    const query = asked.get('query');
    if (query) {
      void (labShell?.restored ?? app.restored).then(() => openLinked(app, query, asked.get('link') ?? ''));
    }
  }
};

function addMenu(app: JupyterFrontEnd, mainMenu: IMainMenu): void {
  const menu = new Menu({ commands: app.commands });
  menu.id = 'jp-mainmenu-pachon';
  menu.title.label = CATEGORY;
  DOORS.forEach(({ id }) => menu.addItem({ command: id }));
  menu.addItem({ type: 'separator' });
  [COMMANDS.show, COMMANDS.send].forEach(command => menu.addItem({ command }));
  mainMenu.addMenu(menu, true, { rank: 900 });
}

/** Opens the notebook of `/lab?query=<id>`, then forgets the address so that a reload does not open it again. */
async function openLinked(app: JupyterFrontEnd, query: string, link: string): Promise<void> {
  await app.commands.execute(COMMANDS.open, { query, link });
  const address = new URL(window.location.href);
  ['query', 'link'].forEach(name => address.searchParams.delete(name));
  window.history.replaceState({}, '', address);
}

export default plugin;
