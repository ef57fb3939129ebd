// usage: node page.js REPORT.html: runs the script of a report in a document that is just enough for
// it, draws every plot, and prints the text of the page.
const fs = require('fs');
const page = fs.readFileSync(process.argv[2], 'utf8');
const part = (pattern) => [...page.matchAll(pattern)];
const drawn = [];

class Element {
  constructor(name) {
    Object.assign(this, {name, children: [], attributes: {}, clientWidth: 460});
  }
  setAttribute(key, value) {
    if (/NaN|undefined/.test(`${value}`)) throw new Error(`${this.name} ${key}="${value}"`);
    this.attributes[key] = value;
  }
  append(...children) { this.children.push(...children); }
  replaceChildren(...children) { this.children = children; }
  get text() {
    return this.children.map((child) => child.text ?? child).join(this.name === 'tr' ? ' | ' : ' ');
  }
}

const main = new Element('main');
const data = Object.fromEntries(part(/<script type="application\/json" id="(\w+)">([^<]*)</g)
  .map(([, id, textContent]) => [id, {textContent}]));
const histograms = part(/class="hgrm" data-name="([^"]+)">([^<]*)</g)
  .map(([, name, textContent]) => ({dataset: {name}, textContent}));
global.document = {
  getElementById: (id) => data[id] ?? main,
  querySelectorAll: () => histograms,
  createElement: (name) => new Element(name),
  createElementNS: (_, name) => new Element(name),
};
global.ResizeObserver = class { observe(place) { drawn.push(place); } };
(0, eval)(part(/<script>\n([^]*?)<\/script>/g)[0][1]);
for (const width of [320, 460, 1000]) {
  for (const place of drawn) {
    place.clientWidth = width;
    place.redraw();
    if (place.children.length !== 1) throw new Error('nothing is drawn');
  }
}
const visit = (element) => [element.text ?? element, ...(element.children ?? []).flatMap(visit)];
console.log(`plots ${drawn.length}\n${visit(main).filter((text) => text.includes(' | ')).join('\n')}`);
