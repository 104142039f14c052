// Pachon in JupyterLab. Written by hand and served as it is: JupyterLab loads it as a federated module and lends it the
// libraries it shares, so there is nothing to build.
(() => {
  'use strict';

  const ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64" width="16">
<rect width="64" height="64" rx="15" fill="#2c3a8c"/>
<g fill="none" stroke="#dfe6ff" stroke-linecap="round">
<path d="M9 43A26 26 0 0 1 52.5 25" stroke-width="3.6"/><path d="M18 41A17.5 17.5 0 0 1 41 25.2" stroke-width="2.8" opacity=".7"/></g>
<circle cx="52.5" cy="25" r="4" fill="#fff3d6"/>
<path d="M0 52 12 45l7 3.5L32.5 35l6 6.5 5-3.5L64 51v1a12 12 0 0 1-12 12H12A12 12 0 0 1 0 52z" fill="#0a0f24"/></svg>`;

  const DOORS = [
    {
      id: 'pachon:open-tutorials',
      target: 'tutorial',
      label: 'Tutorials',
      caption: 'Open the first tutorial: the sky in a notebook'
    },
    {
      id: 'pachon:open-portal',
      target: 'portal',
      label: 'Open Portal',
      caption: 'Look at the sky and the tables in the Portal'
    },
    { id: 'pachon:open-api', target: 'api', label: 'Web APIs', caption: 'Read how programs ask the platform' },
    {
      id: 'pachon:open-documentation',
      target: 'documentation',
      label: 'Documentation',
      card: 'Docs',
      caption: 'Read what the platform is and how to use it'
    }
  ];

  let shared;

  // The module JupyterLab shares under this name.
  const use = async name => {
    const versions = shared[name];
    if (!versions) {
      throw new Error(`This JupyterLab does not share ${name}.`);
    }
    return (await Object.values(versions)[0].get())();
  };

  const readConfig = async ({ URLExt }, { ServerConnection }) => {
    const settings = ServerConnection.makeSettings();
    const address = URLExt.join(settings.baseUrl, 'pachon', 'config');
    const response = await ServerConnection.makeRequest(address, {}, settings);
    if (!response.ok) {
      throw new ServerConnection.ResponseError(response);
    }
    return response.json();
  };

  const addCommands = (app, config, icon) => {
    for (const { id, target, label, card, caption } of DOORS) {
      app.commands.addCommand(id, {
        label: ({ isLauncher }) => (isLauncher && card) || label,
        caption,
        icon,
        isEnabled: () => Boolean(config[target]),
        execute: () =>
          target === 'tutorial'
            ? app.commands.execute('docmanager:open', { path: config.tutorial })
            : void window.open(config[target], '_blank', 'noopener')
      });
    }
  };

  const addMenu = (app, mainMenu, { Menu }) => {
    const menu = new Menu({ commands: app.commands });
    menu.id = 'jp-mainmenu-pachon';
    menu.title.label = 'Pachon';
    DOORS.forEach(({ id }) => menu.addItem({ command: id }));
    mainMenu.addMenu(menu, true, { rank: 900 });
  };

  const loadPlugin = async () => {
    const [{ IMainMenu }, { ILauncher }, { ICommandPalette }, { LabIcon }, widgets, coreutils, services] =
      await Promise.all(
        [
          '@jupyterlab/mainmenu',
          '@jupyterlab/launcher',
          '@jupyterlab/apputils',
          '@jupyterlab/ui-components',
          '@lumino/widgets',
          '@jupyterlab/coreutils',
          '@jupyterlab/services'
        ].map(use)
      );
    return {
      id: 'pachon-lab:doors',
      description: 'A menu, launcher cards and commands that lead to the other aspects of the platform.',
      autoStart: true,
      requires: [IMainMenu],
      optional: [ILauncher, ICommandPalette],
      activate: async (app, mainMenu, launcher, palette) => {
        const config = await readConfig(coreutils, services);
        addCommands(app, config, new LabIcon({ name: 'pachon-lab:mark', svgstr: ICON }));
        addMenu(app, mainMenu, widgets);
        DOORS.forEach(({ id: command }, rank) => {
          launcher?.add({ command, category: 'Pachon', rank, args: { isLauncher: true } });
          palette?.addItem({ command, category: 'Pachon' });
        });
      }
    };
  };

  window._JUPYTERLAB = window._JUPYTERLAB || {};
  window._JUPYTERLAB['pachon-lab'] = {
    init: scope => {
      shared = scope;
    },
    get: async () => {
      const plugin = await loadPlugin();
      return () => ({ __esModule: true, default: plugin });
    }
  };
})();
