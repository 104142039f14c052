import { LabIcon } from '@jupyterlab/ui-components';

/** The platform's mark. */
export const markIcon = new LabIcon({
  name: 'pachon-lab:mark',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64" width="16">
<rect width="64" height="64" rx="15" fill="#2c3a8c"/>
<g fill="none" stroke="#dfe6ff" stroke-linecap="round">
<path d="M9 43A26 26 0 0 1 52.5 25" stroke-width="3.6"/><path d="M18 41A17.5 17.5 0 0 1 41 25.2" stroke-width="2.8" opacity=".7"/></g>
<circle cx="52.5" cy="25" r="4" fill="#fff3d6"/>
<path d="M0 52 12 45l7 3.5L32.5 35l6 6.5 5-3.5L64 51v1a12 12 0 0 1-12 12H12A12 12 0 0 1 0 52z" fill="#0a0f24"/></svg>`
});

/** Queries: a table of rows, and stars above it. */
export const queriesIcon = new LabIcon({
  name: 'pachon-lab:queries',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" width="16">
<g class="jp-icon3 jp-icon-selectable" fill="#616161">
<path d="M3 12h18v2H3zm0 4h18v2H3zm0 4h12v2H3z"/>
<path d="m8 1 1.2 3.3L12.5 5.5 9.2 6.7 8 10 6.8 6.7 3.5 5.5 6.8 4.3z"/><circle cx="17" cy="7" r="1.8"/></g></svg>`
});
