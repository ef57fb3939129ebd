'use strict';
// Draws the report from the data inside the page; loads nothing. Everything that came with the data
// is set as text, never as markup.
const dataOf = (id) => JSON.parse(document.getElementById(id).textContent);
const env = dataOf('env');
const rows = dataOf('results').results;
const skipped = Object.entries(dataOf('results').skipped ?? {});
const main = document.getElementById('main');

// ---- Elements, numbers -------------------------------------------------------------------------

function make(name, attributes = {}, ...children) {
  const isSvg = /^(svg|g|path|line|text|rect|circle|title)$/.test(name);
  const element = isSvg ? document.createElementNS('http://www.w3.org/2000/svg', name)
    : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

const digits = (value) => value >= 100 || value === 0 ? value.toFixed(0) : value.toPrecision(3);
function scaled(value, steps) {
  const [factor, unit] = steps.find(([least]) => Math.abs(value) >= least) ?? steps.at(-1);
  return `${digits(value / factor)}\u202f${unit}`.trim();
}
const showNs = (value) => scaled(value, [[1e9, 's'], [1e6, 'ms'], [1e3, 'µs'], [1, 'ns']]);
const showCount = (value) => scaled(value, [[1e9, 'G'], [1e6, 'M'], [1e3, 'k'], [1, '']]);
const tick = (text) => text.replace(/(\.\d*?)0+(?=\u202f|$)/, '$1').replace(/\.(?=\u202f|$)/, '');
const tickNs = (value) => tick(showNs(value));
const tickCount = (value) => (value < 1e4 ? String(value) : tick(showCount(value)));
function show(row, value) {
  if (row.unit === 'ns') return showNs(value);
  if (row.unit === 'ms') return showNs(value * 1e6);
  if (row.unit === 'bool') return value ? 'yes' : 'no';
  const unit = {'entries/s': '/s', '% of a CPU': '\u202f%', count: ''}[row.unit] ?? ` ${row.unit}`;
  return showCount(value) + unit;
}
const spreadOf = (row) => row.runs.length < 2 ? 'one run'
  : `${show(row, row.min)} to ${show(row, row.max)}, ${row.runs.length} runs`;

// ---- Rows and cells ----------------------------------------------------------------------------

const defaults = {transport: 'socket', sealed: 'no', nodes: '3', system: 'spate'};
const label = (row, key) => row.labels[key] ?? defaults[key] ?? '';
const all = (name, wanted = {}) => rows.filter((row) => row.name === name &&
  (row.labels.series ?? '') === (wanted.series ?? '') &&
  Object.entries(wanted).every(([key, value]) => label(row, key) === value));
const find = (name, wanted) => all(name, wanted)[0];
const transportName = (row) => ({socket: 'kernel sockets', memif: 'memif (shared memory)',
  veth: 'kernel sockets on veth', af_packet: 'af_packet (through the kernel)',
  af_xdp: 'af_xdp (through the kernel)', tap: 'tap (through the kernel)'})[label(row, 'transport')] ??
  label(row, 'transport');
const varying = (list) => Object.keys(Object.assign({}, ...list.map((row) => row.labels)))
  .filter((key) => new Set(list.map((row) => label(row, key))).size > 1);
const wordFor = {system: (v) => v, in_flight: (v) => `${v} in flight`, polling: (v) => `${v} polling`,
  durability: (v) => (v === 'disk' ? 'durable' : 'memory'), nodes: (v) => `${v} nodes`,
  system: (v) => ({spate: 'Spate', raft: 'C raft', 'raft-single': 'C raft, one by one'})[v] ?? v,
  payload: (v) => `${v} bytes`, sealed: (v) => (v === 'yes' ? 'sealed' : 'insecure'),
  load: (v) => `load ${v}`, loop: (v) => (v === 'peak' ? 'closed loop (peak)' : 'open loop')};
const describe = (row, keys = Object.keys(row.labels)) => keys.filter((key) => label(row, key))
  .map((key) => (key === 'transport' ? transportName(row)
    : wordFor[key]?.(label(row, key)) ?? `${key} ${label(row, key)}`)).join(', ');

// Rows of profile scale have a plot of their own.
const scales = rows.filter((row) => row.labels.series === 'scale');
const plain = rows.filter((row) => row.labels.series !== 'scale');

// ---- Targets: what Spate must reach (docs/performance.md) --------------------------------------

const one = {system: 'spate', loop: 'peak', durability: 'memory', in_flight: '1', sealed: 'no',
  nodes: '3'};
const many = {...one, in_flight: '4096'};
const ratio = (id, what, name, wanted, most, least) => {
  const row = find(name, wanted);
  return {id, what, value: row?.ratio ?? undefined, most, least, unit: '×',
    noisy: row && isRatioNoisy(row), isDoubtful: row?.limit && isDoubtful(row, most),
    detail: row && `${show(row, row.median)}; limit ${row.limit ? show(row, row.limit) : 'none'}`};
};
// Pairs of runs, each beside its limit, drift together: their ratio may be steady where they are not.
const isRatioNoisy = (row) => row.ratio_noisy ?? (row.noisy || row.limit_noisy);
// Nothing is faster than its limit: then the limit was disturbed.
const isDoubtful = (row, most) => (most != null ? row.ratio < 0.95 : row.ratio > 1.05);
const between = (id, what, above, below, most, least, unit = '×') => ({id, what, most, least, unit,
  value: above && below ? above.median / below.median : undefined,
  noisy: above?.noisy || below?.noisy,
  detail: above && below && `${show(above, above.median)} against ${show(below, below.median)}`});
const figure = (id, what, row, factor, most, least, unit) => ({id, what, most, least, unit,
  value: row && row.median * factor, noisy: row?.noisy, detail: row && spreadOf(row)});
const p50 = (wanted) => find('commit p50', wanted);
const rate = (wanted) => find('committed', wanted);

function targets() {
  const memif = {transport: 'memif', polling: 'busy'};
  const busy = {transport: 'socket', polling: 'busy'};
  const adaptive = {transport: 'socket', polling: 'adaptive'};
  const disk = {durability: 'disk', transport: 'socket'};
  const craft = {system: 'raft'};
  const cost = (nodes) => find('leader work per entry', {...many, nodes, series: 'scale',
    transport: 'socket'});
  const failover = rows.find((row) => row.name === 'commit after kill' &&
    row.labels['election timeout'] === '10 ms' && label(row, 'transport') === 'memif');
  const sorted = failover ? [...failover.runs].sort((a, b) => a - b) : [];
  const p1 = p50({...one, ...memif});
  const sealed1 = p50({...one, ...memif, sealed: 'yes'});
  const heap = all('heap allocations');
  return [
    ratio('P1', 'p50, memif, 1 in flight', 'commit p50', {...one, ...memif}, 1.5),
    ratio('P2', 'p99 of P1', 'commit p99', {...one, ...memif}, 2),
    ratio('P3', 'entries/s, memif, 4096 in flight', 'committed', {...many, ...memif}, null, 0.5),
    ratio('P4', 'P3 sealed, against bare sealed', 'committed', {...many, ...memif, sealed: 'yes'},
      null, 0.9),
    between('P4', 'P3 sealed, against P3', rate({...many, ...memif, sealed: 'yes'}),
      rate({...many, ...memif}), null, 0.6),
    {id: 'P5', what: 'sealing adds to P1', most: 800, unit: 'ns', noisy: p1?.noisy || sealed1?.noisy,
      value: p1 && sealed1 ? sealed1.median - p1.median : undefined},
    between('P6a', 'adaptive sockets against busy memif, p50', p50({...one, ...adaptive}), p1, null, 10),
    between('P6b', 'busy sockets against busy memif, p50', p50({...one, ...busy}), p1, null, 3),
    between('P6c', 'sockets against af_xdp, same veth, both busy, p50',
      p50({...one, transport: 'veth', polling: 'busy'}),
      p50({...one, transport: 'af_xdp', polling: 'busy'}), null, 1.2),
    ratio('P7', 'p50, sockets, 1 in flight, busy', 'commit p50', {...one, ...busy}, 1.3),
    ratio('P7', 'p50, sockets, 1 in flight, adaptive', 'commit p50', {...one, ...adaptive}, 1.3),
    ratio('P8', 'entries/s, sockets, 4096 in flight', 'committed', {...many, ...busy}, null, 0.5),
    figure('P8', 'entries/s, sockets, 4096 in flight', rate({...many, ...busy}), 1e-6, null, 2, 'M/s'),
    ratio('P9', 'durable p50, 1 in flight', 'commit p50', {...one, ...disk}, 1.5),
    between('P9', "durable p50, against Canonical's C raft", p50({...one, ...disk}),
      p50({...craft, durability: 'disk', in_flight: '1'}), 1),
    ratio('P10', 'durable entries/s, 4096 in flight', 'committed', {...many, ...disk}, null, 0.5),
    between('P10', "durable entries/s, against Canonical's C raft", rate({...many, ...disk}),
      rate({...craft, durability: 'disk', in_flight: '4096'}), null, 10),
    between('P12', 'leader cost per entry, 5 nodes against 3', cost('5'), cost('3'), 1.6),
    between('P12', 'leader cost per entry, 7 nodes against 3', cost('7'), cost('3'), 2.2),
    figure('P13', 'fail-over p50, election timeout 10 ms, memif', failover, 1, 30, null, 'ms'),
    {id: 'P13', what: 'fail-over p99', most: 100, unit: 'ms',
      value: sorted[Math.ceil(sorted.length * 0.99) - 1]},
    figure('P14', 'idle leader, sockets, adaptive', find('idle leader', {transport: 'socket'}), 1, 1, null, '%'),
    ratio('P14', 'wake-up p50, against two bare threads', 'wake-up p50', {}, 1.3),
    figure('P15', 'resident memory when idle, log included', find('resident, idle', {transport: 'socket'}), 1, 32, null, 'MiB'),
    {id: 'P16', what: 'heap allocations after start', most: 0, unit: '', detail: `${heap.length} cells`,
      value: heap.length ? Math.max(...heap.flatMap((row) => row.runs)) : undefined},
    figure('P17', 'append at the end of 100 M entries, against the start',
      find('log append, end against start'), 1, 1.1, null, '×'),
  ];
}

function verdict(target) {
  if (target.isDoubtful) return ['near', 'limit disturbed'];
  const isMet = target.most != null ? target.value <= target.most : target.value >= target.least;
  const off = target.most != null ? target.value / (target.most || 1) : target.least / target.value;
  return isMet ? ['good', 'met'] : off <= 1.1 ? ['near', 'within 10 %'] : ['bad', 'missed'];
}

function targetTable() {
  const list = targets();
  const known = list.filter((target) => target.value !== undefined);
  const unknown = [...new Set(list.filter((target) => target.value === undefined)
    .map((target) => target.id))].filter((id) => !known.some((target) => target.id === id));
  const lines = known.map((target) => {
    const [tone, word] = verdict(target);
    const bound = target.most ?? target.least;
    const width = Math.min(100, bound ? 60 * target.value / bound : target.value ? 100 : 0);
    return make('tr', {}, make('td', {}, make('b', {}, target.id)),
      make('td', {}, target.what, make('br'), make('small', {}, target.detail ?? '')),
      make('td', {class: `hide ${tone}`}, make('div', {class: 'bar'},
        make('span', {style: `width:${Math.max(width, 0)}%`}), make('em'))),
      make('td', {class: 'n'}, `${digits(target.value)} ${target.unit}`, make('br'),
        make('small', {}, `${target.most != null ? '≤' : '≥'} ${bound} ${target.unit}`)),
      make('td', {class: tone}, word, target.noisy ? make('small', {}, ' noisy') : null));
  });
  return [
    known.length ? make('div', {class: 'scroll'}, make('table', {}, make('tr', {},
      ...['', 'target', 'reached', '', ''].map((text, i) => make('th', i === 2 ? {class: 'hide'} : {},
        text))), ...lines)) : null,
    make('p', {class: 'soft'}, `The mark in a bar is the target; ≤ wants a bar that ends before it, ≥ ` +
      `one that ends behind it. ${unknown.length ? `Not measured in this run: ${unknown.join(', ')}.`
        : ''}`)];
}

// ---- Plots -------------------------------------------------------------------------------------

const observer = new ResizeObserver((entries) => entries.forEach(({target}) => target.redraw()));

// A figure that is drawn anew when its width changes, so that its letters keep their size.
function drawn(caption, legend, draw) {
  const place = make('div');
  const figure = make('figure', {}, make('figcaption', {}, caption), place,
    make('div', {class: 'legend'}, ...legend));
  let width = 0;
  place.redraw = () => {
    const now = Math.round(place.clientWidth);
    if (now !== width && now > 0) {
      width = now;
      place.replaceChildren(draw(width));
    }
  };
  observer.observe(place);
  return figure;
}

const legendOf = (series) => series.map((one) => make('span', {}, make('i',
  {style: `border-color:${one.colour};border-top-style:${one.isLimit ? 'dashed' : 'solid'}`}),
  one.name + (one.noisy ? ' (noisy)' : '')));
const colour = (i) => `var(--c${i % 8})`;

// Powers of ten that hold all values; the first and last are the ends of the axis.
function decades(values) {
  const low = Math.floor(Math.log10(Math.min(...values)) + 1e-9);
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...values)) - 1e-9));
  return Array.from({length: high - low + 1}, (_, i) => 10 ** (low + i));
}
const inner = (ticks) => ticks.slice(0, -1).flatMap((tick) => [2, 5].map((n) => n * tick));

// Series of {name, colour, isLimit, points: [[x, y, from, to]]} over logarithmic axes.
function logPlot(series, width, xTicks, xText, yText, fits) {
  const height = Math.max(230, Math.min(340, width * 0.62));
  const box = {left: 58, right: width - 12, top: 10, bottom: height - 28};
  const ys = series.flatMap((one) => one.points.flatMap((p) => p.slice(1))).filter((y) => y > 0);
  let yTicks = decades(ys);
  if (fits) { // A short axis shows more when it need not end at a power of ten.
    const steps = [...yTicks, ...inner(yTicks)].sort((a, b) => a - b);
    const low = steps.findLast((step) => step <= Math.min(...ys)) ?? steps[0];
    const high = steps.find((step) => step >= Math.max(...ys)) ?? steps.at(-1);
    yTicks = steps.filter((step) => step >= low && step <= high);
    if (yTicks.length > 7) yTicks = yTicks.filter((step) => decades(ys).includes(step) ||
      step === low || step === high);
  }
  const position = (value, ticks, from, to) => from + (to - from) *
    Math.log(value / ticks[0]) / Math.log(ticks.at(-1) / ticks[0]);
  const x = (value) => position(value, xTicks, box.left, box.right);
  const y = (value) => position(value, yTicks, box.bottom, box.top);
  const svg = make('svg', {viewBox: `0 0 ${width} ${height}`, height, role: 'img'});
  for (const tick of yTicks) {
    svg.append(make('line', {class: 'grid', x1: box.left, x2: box.right, y1: y(tick), y2: y(tick)}),
      make('text', {x: box.left - 6, y: y(tick) + 4, 'text-anchor': 'end'}, yText(tick)));
  }
  xTicks.forEach((tick, i) => {
    const isLast = i === xTicks.length - 1;
    svg.append(make('line', {class: 'grid', x1: x(tick), x2: x(tick), y1: box.top, y2: box.bottom}));
    const room = (text) => text.length * 6.5 + 6;
    const isClear = box.right - x(tick) > room(xText(tick)) / 2 + room(xText(xTicks.at(-1))) &&
      x(tick) - box.left > 45;
    if (!i || isLast || isClear) {
      svg.append(make('text', {x: x(tick), y: height - 8,
        'text-anchor': i === 0 ? 'start' : isLast ? 'end' : 'middle'}, xText(tick)));
    }
  });
  for (const one of series) {
    const path = one.points.map((p, i) => `${i ? 'L' : 'M'}${x(p[0]).toFixed(1)} ${y(p[1]).toFixed(1)}`);
    svg.append(make('path', {d: path.join(''), fill: 'none', stroke: one.colour,
      'stroke-width': one.isLimit ? 1.5 : 2.2, 'stroke-linejoin': 'round',
      'stroke-dasharray': one.isLimit ? '5 4' : 'none'}, make('title', {}, one.name)));
    for (const [at, value, from, to] of one.isDotted ? one.points : []) {
      svg.append(make('circle', {cx: x(at), cy: y(value), r: 3.5, fill: one.colour},
        make('title', {}, `${one.name}: ${xText(at)}, ${yText(value)}`)));
      if (from) svg.append(make('line', {x1: x(at), x2: x(at), y1: y(from), y2: y(to),
        stroke: one.colour, 'stroke-width': 1.5}));
    }
  }
  return svg;
}

// [1/(1-percentile), ns] of a percentile file, whose values are microseconds.
function percentiles(name) {
  const file = [...document.querySelectorAll('.hgrm')].find((it) => it.dataset.name === name);
  return (file?.textContent ?? '').split('\n').map((line) => line.trim().split(/ +/).map(Number))
    .filter((words) => words.length === 4 && words.every(Number.isFinite) && words[0] > 0)
    .map(([value, , , inverse]) => [inverse, value * 1000]);
}

function percentilePlots() {
  const cells = plain.filter((row) => row.name === 'commit p50' && row.histogram);
  const groups = Map.groupBy ? Map.groupBy(cells, groupOf) : groupBy(cells, groupOf);
  return [...groups].map(([group, list]) => {
    const keys = varying(list);
    const series = list.flatMap((row, i) => [
      {name: describe(row, keys.includes('transport') ? keys : ['transport', ...keys]),
        colour: colour(i), points: percentiles(row.histogram), noisy: row.noisy},
      {name: 'its bare loop', colour: colour(i), isLimit: true,
        points: row.limit_histogram ? percentiles(row.limit_histogram) : []},
    ]).filter((one) => one.points.length > 1);
    if (!series.length) return null;
    const top = Math.min(1e6, Math.max(...series.map((one) => one.points.at(-1)[0])));
    series.forEach((one) => { one.points = one.points.filter(([x]) => x <= top); });
    const ticks = decades([1, top]);
    return drawn(group, legendOf(series), (width) => logPlot(series, width, ticks,
      (at) => at === 1 ? '0 %' : `${+(100 - 100 / at).toFixed(4)} %`, tickNs, true));
  });
}
const groupOf = (row) => describe(row, ['loop', 'durability', 'sealed', 'in_flight', 'load',
  ...(new Set(plain.map((one) => label(one, 'transport'))).size > 2 ? ['polling'] : [])]
  .filter((key) => row.labels[key]));
function groupBy(list, keyOf) {
  const groups = new Map();
  for (const item of list) groups.set(keyOf(item), [...groups.get(keyOf(item)) ?? [], item]);
  return groups;
}

function throughputPlots() {
  const cells = plain.filter((row) => row.name === 'committed' && row.labels.in_flight);
  return [...groupBy(cells, (row) => describe(row, ['durability', 'sealed']
    .filter((key) => row.labels[key])))].map(([group, list]) => {
    const keys = varying(list).filter((key) => key !== 'in_flight');
    const name = (row) => describe(row, keys.length ? keys : ['polling']) || 'spate';
    const byName = [...groupBy(list, name)].map(([who, some], i) => [who, i,
      some.sort((a, b) => a.labels.in_flight - b.labels.in_flight)]);
    const series = byName.flatMap(([who, i, some]) => [
      {name: who, colour: colour(i), isDotted: true, noisy: some.some((row) => row.noisy),
        points: some.map((row) => [+row.labels.in_flight, row.median, row.min, row.max])},
      {name: 'its bare loop', colour: colour(i), isLimit: true, isDotted: true,
        points: some.filter((row) => row.limit && label(row, 'system') === 'spate').map((row) => [+row.labels.in_flight, row.limit])},
    ]).filter((one) => one.points.length);
    const counts = [...new Set(list.map((row) => +row.labels.in_flight))].sort((a, b) => a - b);
    if (counts.length < 2) return null;
    return drawn(`${group}: entries a second against entries in flight`, legendOf(series),
      (width) => logPlot(series, width, counts, tickCount, tickCount, false));
  });
}

function scalePlots() {
  return [['leader work per entry', 'time of the leader’s turns that had work, per entry, by nodes', tickNs],
    ['committed', 'entries a second, by nodes', tickCount]].map(([name, caption, text]) => {
    const list = scales.filter((row) => row.name === name);
    const series = [...groupBy(list, (row) => describe(row, ['transport', 'in_flight']))].flatMap(
      ([who, some], i) => [{name: who, colour: colour(i), isDotted: true,
        noisy: some.some((row) => row.noisy),
        points: some.map((row) => [+label(row, 'nodes'), row.median, row.min, row.max])},
      {name: 'its bare loop', colour: colour(i), isLimit: true, isDotted: true,
        points: some.filter((row) => row.limit).map((row) => [+label(row, 'nodes'), row.limit])}])
      .filter((one) => one.points.length);
    const counts = [...new Set(list.map((row) => +label(row, 'nodes')))].sort((a, b) => a - b);
    return counts.length > 1 ? drawn(caption, legendOf(series),
      (width) => logPlot(series, width, counts, String, text, true)) : null;
  });
}

// One bar a row, as far as `most`; spread as a line over it, and a mark where the target is.
function barPlot(bars, width) {
  const step = 40;
  const most = Math.max(...bars.map((bar) => Math.max(bar.value, bar.to ?? 0, bar.mark ?? 0))) * 1.02;
  const svg = make('svg', {viewBox: `0 0 ${width} ${bars.length * step}`, height: bars.length * step});
  const x = (value) => (width - 104) * value / most;
  bars.forEach((bar, i) => {
    const top = i * step + 18;
    svg.append(make('text', {x: 0, y: top - 5}, bar.name),
      make('rect', {x: 0, y: top, width: Math.max(1, x(bar.value)), height: 14, rx: 2,
        fill: bar.colour, opacity: bar.noisy ? 0.55 : 1}, make('title', {}, bar.title ?? bar.name)),
      make('text', {class: 'value', x: Math.max(x(bar.value), x(bar.to ?? 0), x(bar.mark ?? 0)) + 8,
        y: top + 12}, bar.text));
    if (bar.to > bar.from) svg.append(make('line', {x1: x(bar.from), x2: x(bar.to), y1: top + 7,
      y2: top + 7, stroke: 'var(--text)', 'stroke-width': 1.5}));
    if (bar.mark) svg.append(make('line', {x1: x(bar.mark), x2: x(bar.mark), y1: top - 2, y2: top + 16,
      stroke: 'var(--text)', 'stroke-width': 2}));
  });
  return svg;
}

function ratioPlots() {
  const kinds = [['commit p50', 'p50 to commit: at 1.0 Raft would cost nothing; shorter is better', 1],
    ['commit p99', 'p99 to commit: shorter is better', 1],
    ['committed', 'entries a second: at 1.0 Raft would cost nothing; longer is better', 1]];
  return kinds.map(([name, caption]) => {
    const list = plain.filter((row) => row.name === name && row.ratio);
    if (!list.length) return null;
    const keys = [...new Set(['transport', ...varying(list)])];
    const bars = list.map((row, i) => ({name: describe(row, keys), value: row.ratio, mark: 1,
      from: row.ratio_min ?? row.min / row.limit, to: row.ratio_max ?? row.max / row.limit,
      colour: colour(0), noisy: isRatioNoisy(row),
      text: `${row.ratio.toFixed(2)}${isRatioNoisy(row) ? ' noisy' : ''}`,
      title: `${show(row, row.median)} against ${show(row, row.limit)}`}));
    return drawn(caption, [], (width) => barPlot(bars, width));
  });
}

function stagePlots() {
  const groups = groupBy(rows.filter((row) => row.name === 'stage'),
    (row) => describe(row, Object.keys(row.labels).filter((key) => key !== 'stage')));
  return [...groups].map(([group, list]) => {
    const isPart = (row) => row.labels.stage.startsWith('of that');
    const whole = list.reduce((sum, row) => sum + (isPart(row) ? 0 : row.median), 0);
    const bars = list.map((row) => ({name: row.labels.stage, value: row.median, from: row.min,
      to: row.max, colour: isPart(row) ? 'var(--limit)' : colour(0), noisy: row.noisy,
      text: `${showNs(row.median)}, ${(100 * row.median / whole).toFixed(0)} %`}));
    return drawn(group, [], (width) => barPlot(bars, width));
  });
}

// ---- The page ----------------------------------------------------------------------------------

function card(title, row, better) {
  return row && make('div', {class: 'card'}, make('small', {}, title),
    make('b', {}, show(row, row.median)),
    make('small', {}, row.limit ? `${row.ratio.toFixed(2)} × its limit of ${show(row, row.limit)}; ` : '',
      spreadOf(row), row.noisy ? make('span', {class: 'near'}, ' noisy')
        : row.ratio && isRatioNoisy(row) ? make('span', {class: 'near'}, ' ratio noisy') : ''));
}

function cards() {
  const peak = plain.filter((row) => row.labels.loop === 'peak');
  const cells = groupBy(peak, (row) => describe(row, ['system', 'transport', 'durability', 'sealed', 'nodes']
    .filter((key) => row.labels[key] || key === 'transport')));
  const list = [...cells].flatMap(([where, some]) => {
    const one = some.find((row) => row.name === 'commit p50' && row.labels.in_flight === '1');
    const most = some.filter((row) => row.name === 'committed' && row.labels.in_flight !== '1')
      .sort((a, b) => b.labels.in_flight - a.labels.in_flight)[0];
    return [card(`p50 to commit; ${where}, ${one && describe(one, ['polling', 'in_flight'])}`, one),
      card(`Peak rate; ${where}, ${most && describe(most, ['polling', 'in_flight'])}`, most)];
  });
  list.push(card('First commit after kill -9 of the leader', find('commit after kill')),
    card('An idle leader', find('idle leader', {transport: 'socket'})), card('Wake-up of a sleeping core', find('wake-up p50')));
  return list.filter(Boolean);
}

function section(title, text, contents, kind = 'plots') {
  const list = contents.filter(Boolean);
  return list.length ? [make('h2', {}, title), text ? make('p', {class: 'soft'}, text) : null,
    make('div', {class: kind}, ...list)].filter(Boolean) : [];
}

function rowTable() {
  const heading = [['what'], ['', ''], ['median', 'n'], ['spread', 'n'], ['variation', 'n'],
    ['limit', 'n'], ['of limit', 'n'], ['in pairs', 'n']];
  return make('div', {class: 'scroll'}, make('table', {class: 'rows'}, make('tr', {},
    ...heading.map(([text, type]) => make('th', type ? {class: type} : {}, text))),
  ...rows.map((row) => make('tr', {}, make('td', {}, row.name), make('td', {}, describe(row)),
    make('td', {class: 'n'}, show(row, row.median)),
    make('td', {class: 'n'}, `${show(row, row.min)} – ${show(row, row.max)}`),
    make('td', {class: row.noisy ? 'n near' : 'n'},
      `${(100 * row.variation).toFixed(1)} %${row.noisy ? ' noisy' : ''}`),
    make('td', {class: 'n'}, row.limit ? show(row, row.limit) : ''),
    make('td', {class: row.ratio && isRatioNoisy(row) ? 'n near' : 'n'},
      row.ratio ? row.ratio.toFixed(2) + (isRatioNoisy(row) ? ' noisy' : '') : ''),
    make('td', {class: 'n'}, row.ratio_min ? `${row.ratio_min.toFixed(2)} – ${row.ratio_max.toFixed(2)}`
      : '')))));
}

function environmentTable() {
  const text = (value) => (typeof value === 'object' ? Object.entries(value).map(([key, inside]) =>
    `${Array.isArray(value) ? '' : `${key}: `}${typeof inside === 'object' ? text(inside) : inside}`)
    .join(Array.isArray(value) ? ' ' : '; ') : String(value));
  return make('div', {class: 'scroll'}, make('table', {}, ...Object.entries(env).map(([key, value]) =>
    make('tr', {}, make('td', {}, key.replaceAll('_', ' ')), make('td', {}, text(value))))));
}

// A word for the shell, quoted if it must be.
const quoted = (word) => (/^[\w.,:=/+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);

function page() {
  const noisy = rows.filter((row) => row.noisy).length;
  const paired = rows.filter((row) => row.ratio_min);
  const unsteady = paired.filter((row) => row.ratio_noisy).length;
  const isShared = rows.some((row) => label(row, 'transport') === 'memif');
  const isMemory = rows.some((row) => /af_|veth|tap/.test(label(row, 'transport')));
  main.replaceChildren(make('h1', {}, 'Spate, measured'),
    make('p', {class: 'soft'}, `${env.cpu}, ${env.cpus} CPUs, Linux ${env.kernel}; revision ` +
      `${env.revision}, ${env.compiler}, ${env.build}; ${env.time}`),
    make('p', {}, 'Every figure stands beside its limit, measured in the same run: the bare loop is ' +
      'the same processes, polling, bytes and pinning without Raft. Trust the ratio before the figure. ' +
      `${noisy} of ${rows.length} rows are noisy: their runs differ by more than 5 %. Of ` +
      `${paired.length} ratios ${unsteady} are: each is the median of runs beside a run of the limit.` +
      (isShared ? ' memif is shared memory between processes of one machine, not a wire.' : '') +
      (isMemory ? ' af_packet, af_xdp, tap and veth pass through the kernel.' : '')),
    make('div', {class: 'cards'}, ...cards()),
    ...section('Targets', '', targetTable(), ''),
    ...section('Latency by percentile', 'Dashed: the bare loop of the same run. An open loop counts ' +
      'from when a command should have begun, a closed loop from when it did (peak).',
    percentilePlots()),
    ...section('Throughput against entries in flight', 'Closed loops, so peaks. Lines through the ' +
      'points: from the slowest to the fastest run. Dashed: the bare loop.', throughputPlots()),
    ...section('Scale', '', scalePlots()),
    ...section('Where the time goes', 'One commit in 256 is timed ' +
      'stage by stage: medians of its samples, and of the runs. What sampling costs is among the rows ' +
      'below: its limit is the same load without.',
      stagePlots()),
    ...section('Ratio to the limit', 'Of closed loops. The mark is the limit; the thin line is the spread of the runs; ' +
      'noisy bars are pale.', ratioPlots()),
    ...section('Every row', skipped.length ? `Skipped: ${skipped.map(([what, why]) =>
      `${what} (${why})`).join('; ')}.` : '', [rowTable()], ''),
    ...section('Where it was measured', '', [environmentTable()], ''),
    make('h2', {}, 'How to repeat it'),
    make('pre', {}, `git checkout ${env.revision.replace('-dirty', '')}\n./run build\n` +
      (env.commands ?? [env.command])
        .map((words) => `./run bench ${words.slice(1).map(quoted).join(' ')}`).join('\n')),
    env.revision.endsWith('-dirty') ? make('p', {class: 'near'}, 'Measured with changes that are not in ' +
      'that revision.') : '',
    make('p', {class: 'soft'}, 'Beside this file: env.json, results.json and results.csv with every ' +
      'run, and each cell’s latencies as .hgrm and .hlog for HdrHistogram’s tools. `spate bench compare ' +
      'A B` compares two such folders.'));
}
page();
