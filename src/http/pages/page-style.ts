import { Html } from './html.ts';

/** The style sheet of all pages. On a narrow screen each table row becomes a block of labelled values. */
export const pageStyle = new Html(`
:root { --text: #1b1f24; --quiet: #545d68; --line: #d4d9df; --back: #fff; --raised: #f4f6f8; --link: #0550ae;
  --good: #116329; --bad: #a40e26; --bad-back: #fff0f0; --live: #7a4b00; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e6eaef; --quiet: #a4aeb9; --line: #3a424c; --back: #14181d; --raised: #1d232a; --link: #79b8ff;
    --good: #6fdd8b; --bad: #ff9492; --bad-back: #35181b; --live: #f0b72f; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--text); font: 1rem/1.5 system-ui, sans-serif; }
main { max-width: 72rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0.75rem 0 0.25rem; }
h2 { font-size: 1.125rem; margin: 2rem 0 0.5rem; }
p { margin: 0.25rem 0; }
a { color: var(--link); }
nav a { display: inline-block; margin-right: 1rem; }
progress { width: 100%; height: 0.75rem; accent-color: var(--link); }
dl { display: flex; flex-wrap: wrap; gap: 0.5rem 2rem; margin: 1rem 0; }
dt, .quiet { color: var(--quiet); font-size: 0.875rem; }
dd { margin: 0; font-size: 1.125rem; font-variant-numeric: tabular-nums; }
table { border-collapse: collapse; width: 100%; font-size: 0.9375rem; }
caption { text-align: left; color: var(--quiet); font-size: 0.875rem; padding-bottom: 0.25rem; }
th, td { padding: 0.3rem 0.6rem 0.3rem 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
thead th { color: var(--quiet); font-weight: 600; }
tbody th { font-weight: 600; min-width: 13rem; }
td { overflow-wrap: break-word; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.good { color: var(--good); }
.bad { color: var(--bad); }
.live { color: var(--live); }
.fault { border-left: 0.25rem solid var(--bad); background: var(--bad-back); padding: 0.5rem 0.75rem; margin: 0.5rem 0; }
.fault p { margin: 0; }
@media (max-width: 60rem) {
  table, caption, tbody, tr, tbody th, td { display: block; }
  thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  tr { border-bottom: 1px solid var(--line); padding: 0.5rem 0; }
  th, td, .number { border: 0; padding: 0; text-align: left; white-space: normal; }
  tbody th { min-width: 0; }
  td { display: inline-block; margin-right: 1rem; }
  td::before { content: attr(data-label) " "; color: var(--quiet); font-size: 0.875rem; }
}
@media print { nav { display: none; } }
`);
