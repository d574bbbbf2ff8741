"""The style sheet of the report."""

STYLE = """
:root {
  color-scheme: light dark;
  --page: #f3f4f8; --card: #fff; --ink: #1d2330; --soft: #5b6475; --rule: #e2e5ec; --code: #f0f2f7;
  --early: #bccbe4; --late: #1f4fd1; --front: #d9620b; --best: #1f4fd1; --median: #75819a; --fail: #c62f3a;
  --more: #0b8f78; --less: #b3439b; --s: #d3efe9; --s-edge: #0b8f78; --g: #dde4ff; --g-edge: #4560d8;
  --c: #ffe3cd; --c-edge: #cf6413; --o: #e8eaf0; --o-edge: #78829a;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #10131a; --card: #191e28; --ink: #e6e9f0; --soft: #9aa5b8; --rule: #2c3341; --code: #232a37;
    --early: #3d4a66; --late: #82b1ff; --front: #ff9b4a; --best: #82b1ff; --median: #98a3b8; --fail: #ff7a80;
    --more: #2fc7a8; --less: #e07fca; --s: #143b37; --s-edge: #2fc7a8; --g: #222d5c; --g-edge: #8ea2ff;
    --c: #4a2c14; --c-edge: #ff9b4a; --o: #2b3240; --o-edge: #8b96ab;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 28px 22px 60px; max-width: 1400px; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif;
}
h1 { font-size: 26px; line-height: 1.2; margin: 0 0 10px; overflow-wrap: anywhere; }
h2 { font-size: 17px; margin: 0 0 12px; }
header, section { background: var(--card); border: 1px solid var(--rule); border-radius: 12px; padding: 20px 22px; }
main { display: grid; grid-auto-flow: dense; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 16px; }
section { min-width: 0; scroll-margin-top: 12px; }
section.wide { grid-column: 1 / -1; }
nav { display: flex; flex-wrap: wrap; gap: 4px 18px; padding: 14px 4px; }
nav a { color: var(--soft); text-decoration: none; }
nav a:hover, nav a:focus { color: var(--ink); text-decoration: underline; }
.facts { display: flex; flex-wrap: wrap; gap: 4px 20px; align-items: baseline; margin: 0; }
.state { padding: 1px 11px; border-radius: 20px; color: var(--card); }
.state.running { background: var(--best); }
.state.finished { background: var(--more); }
.progress { height: 6px; border-radius: 3px; background: var(--rule); margin: 14px 0 18px; overflow: hidden; }
.progress i { display: block; height: 100%; background: var(--best); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(190px, 1fr)); gap: 12px; }
.tiles div { background: var(--page); border-radius: 9px; padding: 10px 14px; max-width: 420px; }
.tiles span { display: block; color: var(--soft); font-size: 13px; }
.tiles b { font-size: 23px; font-variant-numeric: tabular-nums; }
.note, figcaption { color: var(--soft); font-size: 13px; margin: 12px 0 0; }
figure { margin: 0; }
figcaption { display: flex; flex-wrap: wrap; gap: 4px 18px; }
figcaption span { display: inline-flex; align-items: center; gap: 6px; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 480px), 1fr)); gap: 12px; }
.scroll { overflow-x: auto; }

svg { display: block; width: 100%; max-width: calc(var(--w) * 1.2); height: auto; overflow: visible; }
.wide .scroll > svg { min-width: calc(var(--w) * .82); max-width: calc(var(--w) * 1.4); }
svg text { fill: var(--soft); font-size: 12px; font-variant-numeric: tabular-nums; }
svg text.label { fill: var(--ink); }
.grid { stroke: var(--rule); }
.axis { stroke: var(--soft); }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; stroke: var(--best); }
.line.front { stroke: var(--front); }
.line.median { stroke: var(--median); stroke-dasharray: 5 4; }
.line.kin { stroke: var(--median); stroke-width: 1; opacity: .3; }
.line.ancestors { stroke: var(--front); stroke-width: 1.6; opacity: .8; }
.point { fill: color-mix(in oklab, var(--early), var(--late) var(--late-share, 100%)); opacity: .6; }
.point.plain { fill: var(--median); opacity: .55; }
.point.top { fill: var(--front); opacity: 1; }
.point.ancestor { fill: var(--card); stroke: var(--front); stroke-width: 2; opacity: 1; }
.point.chosen { stroke: var(--front); stroke-width: 2.2; opacity: 1; }
.point:hover { stroke: var(--ink); stroke-width: 2; opacity: 1; }
.failed { fill: none; stroke: var(--fail); stroke-width: 1.8; }
.key { display: inline-block; width: 22px; height: 14px; min-width: 22px; }
.ramp { display: inline-block; width: 90px; height: 10px; border-radius: 5px; }
.ramp.late { background: linear-gradient(90deg in oklab, var(--early), var(--late)); }
.ramp.credit { background: linear-gradient(90deg in oklab, var(--less), var(--card), var(--more)); }
.ring { width: 12px; height: 12px; border-radius: 6px; border: 2px solid var(--front); }
.more { fill: color-mix(in oklab, var(--code), var(--more) var(--much)); }
.less { fill: color-mix(in oklab, var(--code), var(--less) var(--much)); }

.block rect { fill: var(--o); stroke: var(--o-edge); stroke-width: 1.3; }
.block.S rect { fill: var(--s); stroke: var(--s-edge); }
.block.G rect { fill: var(--g); stroke: var(--g-edge); }
.block.C rect { fill: var(--c); stroke: var(--c-edge); }
.block text { fill: var(--ink); font-size: 10.5px; }
svg text.type { fill: var(--ink); font-size: 16px; font-weight: 600; }
svg text.long.type { font-size: 10.5px; }
.wire { fill: none; stroke: var(--soft); stroke-width: 1.3; }
.wire.dense { opacity: .45; }
.wire.residual { stroke-dasharray: 4 3; }
.plus { fill: var(--card); stroke: var(--soft); }
.level { stroke: var(--c-edge); }
.halved { fill: var(--c); }

table { border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums; }
th { text-align: left; color: var(--soft); font-weight: 500; font-size: 13px; }
th, td { padding: 5px 18px 5px 0; border-bottom: 1px solid var(--rule); vertical-align: top; }
tr:last-child td { border-bottom: 0; }
td { white-space: nowrap; }
#settings td { white-space: normal; overflow-wrap: anywhere; }
code { font: 12.5px/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
code.blocks {
  display: block; min-width: 330px; white-space: normal; user-select: all; -webkit-user-select: all;
  background: var(--code); border-radius: 6px; padding: 4px 8px;
}
.reason { white-space: pre-wrap; overflow-wrap: anywhere; min-width: 220px; max-height: 130px; overflow-y: auto; }
.bar { display: flex; height: 26px; border-radius: 6px; overflow: hidden; gap: 1px; margin-bottom: 12px; }
.part { background: var(--o-edge); flex-basis: 0; }
td .part { display: inline-block; width: 11px; height: 11px; border-radius: 3px; margin-right: 8px; }
.part.build { background: var(--less); }
.part.compile { background: var(--front); }
.part.train { background: var(--best); }
.part.evaluate { background: var(--more); }
.part.ablate { background: var(--fail); }

@media (max-width: 820px) {
  body { padding: 10px 10px 40px; }
  main { grid-template-columns: minmax(0, 1fr); gap: 10px; }
  header, section { padding: 14px; }
  h1 { font-size: 21px; }
  :not(.scroll) > svg text, section:not(.wide) svg text { font-size: 16px; }
  /* A candidate is a paragraph there, not a row that has to be scrolled. */
  .wide thead { display: none; }
  .wide tr { display: block; padding: 8px 0; border-bottom: 1px solid var(--rule); }
  .wide td { display: inline-block; border: 0; padding: 1px 14px 1px 0; white-space: normal; max-width: 100%; }
  .wide td::before { content: attr(data-label) " "; color: var(--soft); font-size: 12.5px; }
  .wide td:last-child { display: block; padding-right: 0; }
  code.blocks, .reason { min-width: 0; }
}
"""
