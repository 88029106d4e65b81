import { Html } from '../pages/html.ts';
import { pageStyle } from '../pages/page-style.ts';

/** The style sheet of the dashboard: that of all pages, and what only it has. */
export const dashboardStyle = new Html(`${pageStyle.text}
body > header, #notice { max-width: 72rem; margin: 0 auto; padding: 0.75rem 1rem 0; }
#notice:empty { padding: 0; }
header p { color: var(--quiet); }
nav ul { list-style: none; display: flex; flex-wrap: wrap; gap: 0 1.25rem; margin: 0.25rem 0 0; padding: 0; border-bottom: 1px solid var(--line); }
nav li a { display: block; padding: 0.375rem 0; margin: 0; }
nav a[aria-current] { color: var(--text); font-weight: 600; text-decoration: none; border-bottom: 0.1875rem solid var(--link); }
main { padding-top: 0.5rem; }
thead th { overflow-wrap: normal; vertical-align: bottom; }
thead th.number { white-space: normal; }
tbody th { min-width: 8rem; }
main:focus { outline: none; }
.skip { position: absolute; left: -100rem; }
.skip:focus { left: 0.5rem; top: 0.5rem; background: var(--back); padding: 0.5rem; }
button { font: inherit; color: var(--back); background: var(--link); border: 0; border-radius: 0.25rem; padding: 0.375rem 0.875rem; cursor: pointer; }
button:disabled, button[aria-disabled="true"] { opacity: 0.6; cursor: default; }
input { font: inherit; color: inherit; background: var(--back); border: 1px solid var(--quiet); border-radius: 0.25rem; padding: 0.375rem 0.5rem; max-width: 100%; }
:focus-visible { outline: 0.1875rem solid var(--link); outline-offset: 0.125rem; }
svg { display: block; width: 100%; height: auto; max-height: 12rem; }
svg text { fill: var(--quiet); font: 0.75rem system-ui, sans-serif; }
svg.tall { max-height: none; }
.bar { fill: var(--link); }
.bar.bad { fill: var(--bad); }
.line { fill: none; stroke: var(--link); stroke-width: 2; vector-effect: non-scaling-stroke; }
.axis { stroke: var(--line); vector-effect: non-scaling-stroke; }
select, textarea { font: inherit; color: inherit; background: var(--back); border: 1px solid var(--quiet); border-radius: 0.25rem; padding: 0.375rem 0.5rem; max-width: 100%; }
textarea { width: 100%; font-family: ui-monospace, monospace; }
.small { padding: 0.125rem 0.5rem; font-size: 0.875rem; }
.frame { overflow-x: auto; }
table.data td { max-width: 24rem; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.row div { flex: 1 1 16rem; }
.row dd { font-size: 1rem; }
summary { cursor: pointer; color: var(--link); }
details { margin: 0.5rem 0; }
.reading { display: flex; gap: 0.75rem; align-items: baseline; background: var(--back); }
.reading.long { position: sticky; top: 0; z-index: 1; }
@media (max-width: 60rem) {
  table.data { display: table; } .data caption { display: table-caption; } .data thead { display: table-header-group; position: static; width: auto; height: auto; clip-path: none; }
  .data tbody { display: table-row-group; } .data tr { display: table-row; } .data th, .data td { display: table-cell; padding: 0.3rem 0.6rem 0.3rem 0; }
  .data td::before { content: none; }
}
@media (prefers-reduced-motion: no-preference) { progress { transition: none; } }
`);
