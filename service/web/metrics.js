// What the service counts and measures, read from the text that Prometheus scrapes.

const SERIES = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/;
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g;
const ESCAPED = { "\\n": "\n", '\\"': '"', "\\\\": "\\" };

export class Scrape {
  static async take() {
    const response = await fetch("metrics", { cache: "no-store" });
    if (!response.ok) throw new Error(`The service answered with status ${response.status}.`);
    return new Scrape(await response.text());
  }

  constructor(text) {
    this.at = performance.now() / 1000; // seconds
    this.series = new Map(); // by name: labels and value of each
    for (const line of text.split("\n")) {
      const found = SERIES.exec(line);
      if (!found) continue;
      const [, name, labels = "", value] = found;
      if (!this.series.has(name)) this.series.set(name, []);
      this.series.get(name).push({ labels: labelsOf(labels), value: Number(value.replace("Inf", "Infinity")) });
    }
  }

  // The series of this name that have these labels.
  all(name, labels = {}) {
    const wanted = Object.entries(labels);
    return (this.series.get(name) ?? []).filter((each) => wanted.every(([label, value]) => each.labels[label] === value));
  }

  sum(name, labels) {
    return this.all(name, labels).reduce((total, { value }) => total + value, 0);
  }

  // The sums by one label, such as { accept: 3, review: 1 }.
  by(label, name, labels) {
    const sums = {};
    for (const each of this.all(name, labels)) sums[each.labels[label]] = (sums[each.labels[label]] ?? 0) + each.value;
    return sums;
  }

  // The mean of what a histogram observed, null where that is nothing.
  mean(name, labels) {
    const count = this.sum(`${name}_count`, labels);
    return count ? this.sum(`${name}_sum`, labels) / count : null;
  }
}

function labelsOf(text) {
  return Object.fromEntries([...text.matchAll(LABEL)].map(([, name, value]) => [name, value.replace(/\\./g, (sign) => ESCAPED[sign] ?? sign)]));
}
