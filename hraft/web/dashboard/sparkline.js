// A line of the last values of one figure, as inline SVG, with the same said in words.

const SVG = 'http://www.w3.org/2000/svg';
const COUNT = 90; // values, one a second
const WIDTH = 300;
const HEIGHT = 48;

export class Sparkline {
  constructor(svg, name, unit) {
    this.svg = svg;
    this.name = name;
    this.unit = unit;
    this.values = [];
    svg.setAttribute('viewBox', `0 0 ${WIDTH} ${HEIGHT}`);
    svg.setAttribute('preserveAspectRatio', 'none');
    [this.base, this.area, this.line] = ['base', 'area', 'line'].map((name) => {
      const path = document.createElementNS(SVG, 'path');
      path.setAttribute('class', name);
      svg.append(path);
      return path;
    });
    this.base.setAttribute('d', `M0 ${HEIGHT - 1}H${WIDTH}`);
    this.draw();
  }

  // null: nothing is known of this second, which is a gap in the line.
  push(value) {
    this.values.push(value);
    if (this.values.length > COUNT) this.values.shift();
    this.draw();
  }

  draw() {
    const known = this.values.filter((value) => value !== null);
    const most = Math.max(...known, 1e-9);
    const x = (index) => ((COUNT - this.values.length + index) * WIDTH) / (COUNT - 1);
    const y = (value) => HEIGHT - 2 - (value / most) * (HEIGHT - 6);
    let line = '';
    let area = '';
    let begin = -1;
    this.values.forEach((value, index) => {
      if (value === null) {
        begin = -1;
        return;
      }
      const isFirst = begin < 0;
      if (isFirst) begin = index;
      line += `${isFirst ? 'M' : 'L'}${x(index).toFixed(1)} ${y(value).toFixed(1)}`;
      area += `${isFirst ? `M${x(index).toFixed(1)} ${HEIGHT}` : ''}L${x(index).toFixed(1)} ${y(value).toFixed(1)}`;
      const isLast = index + 1 === this.values.length || this.values[index + 1] === null;
      if (isLast) area += `L${x(index).toFixed(1)} ${HEIGHT}Z`;
    });
    this.line.setAttribute('d', line);
    this.area.setAttribute('d', area);
    const words = known.length ? `now ${this.values.at(-1) ?? 'unknown'}, at most ${Math.max(...known)}` : 'nothing is known yet';
    this.svg.setAttribute('aria-label', `${this.name}, ${this.unit}, of the last ${COUNT} seconds: ${words}`);
  }
}
