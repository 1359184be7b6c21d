"""The style of pages: one sheet, light and dark, for notebooks and files. Imports nothing of ours.

Pictures inside a page take their ink from it: see :data:`INKS`.
"""

from __future__ import annotations

#: Colours that stand out against white and near-black alike, and for readers who see few colours (Okabe and Ito 2008).
BLUE, ORANGE, GREEN, PURPLE = "#1f77b4", "#d55e00", "#009e73", "#aa4499"

#: What pictures are drawn with, and the variable of the page that takes its place: ink, fine ink, lines, ground.
INKS = {"#1b1f24": "ink", "#5a6472": "faint", "#d5dae1": "line", "#ffffff": "ground"}

STYLE = """
.revealed { --ink:#1b1f24; --faint:#5a6472; --line:#d5dae1; --ground:#ffffff; --raised:#f5f7f9;
  --accent:#1766a6; --warn:#7a4b00; --warnground:#fff4de; --bad:#96151a; --badground:#fdeaea; color:var(--ink);
  background:var(--ground); line-height:1.5;
  font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif; font-size:15px; }
@media (prefers-color-scheme:dark) {
  .revealed { --ink:#e4e8ee; --faint:#9aa5b4; --line:#39414c; --ground:#14181d; --raised:#1d232a;
    --accent:#6cb6ff; --warn:#ffcf7a; --warnground:#33270f; --bad:#ff9d9d; --badground:#3a1618; }
}
body.revealed { margin:0; padding:2.5rem 1.25rem 4rem; }
.revealed main { max-width:62rem; margin:0 auto; }
.revealed h1 { font-size:1.9rem; line-height:1.2; margin:0 0 .3rem; letter-spacing:-.01em; }
.revealed h2 { font-size:1.25rem; margin:2.6rem 0 .7rem; padding-top:1rem; border-top:1px solid var(--line); }
.revealed h3 { font-size:1.05rem; margin:1.2rem 0 .5rem; }
.revealed h4 { font-size:.95rem; margin:1.2rem 0 .4rem; }
.revealed section:first-of-type h2 { border-top:0; padding-top:0; margin-top:1.6rem; }
.revealed p { margin:.55rem 0; max-width:46rem; }
.revealed .lead { color:var(--faint); font-size:1.05rem; margin:0; }
.revealed .note { color:var(--faint); font-size:.88rem; }
.revealed .warning,.revealed .alert { padding:.6rem .85rem; border-left:4px solid; border-radius:3px; }
.revealed .warning { color:var(--warn); background:var(--warnground); }
.revealed .alert { color:var(--bad); background:var(--badground); font-weight:600; }
.revealed nav ul { display:flex; flex-wrap:wrap; gap:.2rem 1.2rem; list-style:none; padding:0; margin:1rem 0 0;
  font-size:.92rem; }
.revealed a { color:var(--accent); text-decoration:none; }
.revealed a:hover { text-decoration:underline; }
.revealed pre { background:var(--raised); padding:.7rem .9rem; border-radius:4px; overflow-x:auto;
  font-size:.87rem; font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace; margin:.6rem 0;
  white-space:pre-wrap; color:inherit; }
.revealed dl { display:grid; grid-template-columns:repeat(auto-fill,minmax(15rem,1fr)); gap:.1rem 2rem;
  margin:.6rem 0; }
.revealed dl div { display:flex; justify-content:space-between; gap:1rem; padding:.28rem 0;
  border-bottom:1px solid var(--line); }
.revealed dt { color:var(--faint); font-weight:400; }
.revealed dd { margin:0; text-align:right; font-variant-numeric:tabular-nums; overflow-wrap:anywhere; }
.revealed .scroll { overflow-x:auto; margin:.6rem 0; }
.revealed table { border-collapse:collapse; font-size:.92rem; font-variant-numeric:tabular-nums; margin:0;
  border:0; }
.revealed th,.revealed td { padding:.32rem .9rem .32rem 0; text-align:left; vertical-align:baseline; border:0;
  background:none; }
.revealed th:last-child,.revealed td:last-child { padding-right:0; }
.revealed thead th { font-weight:600; border-bottom:1.5px solid var(--ink); vertical-align:bottom;
  white-space:nowrap; }
.revealed tbody tr { background:none; }
.revealed tbody th,.revealed tbody td { border-bottom:1px solid var(--line); }
.revealed tbody th { font-weight:400; position:sticky; left:0; background:var(--ground); }
.revealed tbody tr:hover>* { background:var(--raised); }
.revealed .n { text-align:right; white-space:nowrap; }
.revealed td.n span { display:inline-block; text-align:left; }
.revealed figure { margin:1rem 0 1.4rem; }
.revealed figure svg { display:block; height:auto; max-width:100%; min-width:28rem; }
.revealed figcaption { color:var(--faint); font-size:.88rem; max-width:46rem; margin-top:.2rem; }
@media (max-width:40rem) {
  body.revealed { padding:1.4rem .9rem 3rem; }
  .revealed h1 { font-size:1.5rem; }
  .revealed dl { grid-template-columns:1fr; }
  .revealed tbody th { max-width:42vw; overflow-wrap:anywhere; }
  .revealed th,.revealed td { padding-right:.7rem; }
}
@media print {
  body.revealed { padding:0; font-size:11px; }
  .revealed section { break-inside:avoid-page; }
  .revealed nav { display:none; }
}
"""
