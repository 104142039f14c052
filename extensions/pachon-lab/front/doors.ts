import type { JupyterFrontEnd } from '@jupyterlab/application';

import { markIcon } from './icons';

/** Where the doors lead; empty where unknown. */
export interface Doors {
  tutorial: string;
  portal: string;
  api: string;
  documentation: string;
}

interface Door {
  id: string;
  target: keyof Doors;
  label: string;
  card?: string;
  caption: string;
}

export const DOORS: Door[] = [
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

/** A command for each door. */
export function addDoors(app: JupyterFrontEnd, doors: Doors): void {
  for (const { id, target, label, card, caption } of DOORS) {
    app.commands.addCommand(id, {
      label: args => (args.isLauncher && card) || label,
      caption,
      icon: markIcon,
      isEnabled: () => Boolean(doors[target]),
      execute: () => {
        if (target === 'tutorial') {
          return app.commands.execute('docmanager:open', { path: doors.tutorial });
        }
        openInTab(doors[target]);
        return undefined;
      }
    });
  }
}

/** Opens an address in a tab of its own, which learns nothing of this one. */
export function openInTab(address: string): void {
  window.open(address, '_blank', 'noopener');
}
