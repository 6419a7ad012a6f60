// What happened between two looks at the metrics: counters only grow, unless the service was started anew.

const ASKING_ONE = /\/classify$/;
const ASKING = /\/(classify|classify-batch|infer)$/; // what is asked of models; probes and pages are not looked at

export class Between {
  constructor(before, now) {
    this._before = before;
    this._now = now;
    this.seconds = now.at - before.at;
  }

  // How much counters of this name grew, by their labels, of those that are wanted.
  grown(name, isWanted = () => true) {
    const past = new Map(this._before.all(name).map(({ labels, value }) => [JSON.stringify(labels), value]));
    return this._now.all(name).filter(({ labels }) => isWanted(labels)).map(({ labels, value }) => {
      const old = past.get(JSON.stringify(labels)) ?? 0;
      return { labels, value: value >= old ? value - old : value };
    });
  }

  total(name, isWanted) {
    return this.grown(name, isWanted).reduce((sum, { value }) => sum + value, 0);
  }

  perSecond(name, isWanted) {
    return this.total(name, isWanted) / this.seconds;
  }

  // Counts of a histogram's buckets by their upper bounds, each alone.
  buckets(name, isWanted) {
    const upTo = new Map();
    for (const { labels, value } of this.grown(`${name}_bucket`, isWanted)) {
      const bound = Number(labels.le.replace("+Inf", "Infinity"));
      upTo.set(bound, (upTo.get(bound) ?? 0) + value);
    }
    let below = 0;
    return [...upTo].sort(([one], [other]) => one - other).map(([bound, count]) => {
      const alone = count - below;
      below = count;
      return { bound, count: alone };
    });
  }

  // A share of what a histogram observed is no larger than this; null where it observed nothing.
  quantile(share, name, isWanted) {
    const buckets = this.buckets(name, isWanted);
    let left = share * buckets.reduce((sum, { count }) => sum + count, 0);
    if (!left) return null;
    let low = 0;
    for (const { bound, count } of buckets) {
      if (left <= count) return bound === Infinity ? low : low + ((bound - low) * left) / count;
      left -= count;
      low = bound;
    }
    return low;
  }
}

export function isAsking({ route }) {
  return ASKING.test(route);
}

// A batch takes as long as it is large.
export function isAskingOne({ route }) {
  return ASKING_ONE.test(route);
}
