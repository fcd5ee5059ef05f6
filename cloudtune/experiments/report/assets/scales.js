// Where values lie in a picture, and which of them are written at its edges.

// Those of Okabe and Ito, which the colour-blind can tell apart; the page's style has them, for light and for dark.
const COLOURS = ["var(--s0)", "var(--s1)", "var(--s2)", "var(--s3)", "var(--s4)", "var(--s5)", "var(--s6)"];
const DASHES = [null, "6 3", "2 3", "8 3 2 3"];

function styleOf(index) {
  return { colour: COLOURS[index % COLOURS.length], dash: DASHES[Math.floor(index / COLOURS.length) % DASHES.length] };
}

function shown(value) {
  if (value === null || value === undefined) return "\u2013";
  if (typeof value !== "number") return String(value);
  const size = Math.abs(value);
  return size !== 0 && (size >= 1e6 || size < 1e-4) ? value.toExponential(3).replace(/\.?0+e/, "e") : String(Number(value.toPrecision(6)));
}

// The smallest and the largest of numbers; those that a logarithm does not know are left out where it is asked for.
function extent(values, isLog) {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (value === null || !Number.isFinite(value) || (isLog && value <= 0)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low <= high ? [low, high] : null;
}

// Some room on both sides; never nothing.
function widened([low, high], isLog, share) {
  if (isLog) {
    const room = Math.max(Math.log10(high / low) * share, 0.02);
    return [low / 10 ** room, high * 10 ** room];
  }
  const room = (high - low) * share || Math.abs(high) * 0.05 || 1;
  return [low - room, high + room];
}

class Scale {
  constructor([low, high], [from, to], isLog) {
    Object.assign(this, { low, high, from, to, isLog });
  }

  within(value) {
    return this.isLog ? Math.log(value / this.low) / Math.log(this.high / this.low) : (value - this.low) / (this.high - this.low);
  }

  at(value) {
    return value === null || (this.isLog && value <= 0) ? null : this.from + (this.to - this.from) * this.within(value);
  }

  valueAt(place) {
    const share = (place - this.from) / (this.to - this.from);
    return this.isLog ? this.low * (this.high / this.low) ** share : this.low + share * (this.high - this.low);
  }

  ticks(wanted) {
    if (this.isLog) {
      const powers = [];
      for (let power = Math.floor(Math.log10(this.low)); power <= Math.log10(this.high); power += 1) powers.push(10 ** power);
      const steps = powers.length > 3 ? [1] : [1, 2, 5];
      const found = powers.flatMap((power) => steps.map((step) => step * power)).filter((tick) => tick >= this.low && tick <= this.high);
      if (found.length > 1) return found.filter((_, index) => index % Math.ceil(found.length / (2 * wanted)) === 0);
    }
    const rough = (this.high - this.low) / wanted;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough) || 10 * power;
    const found = [];
    for (let index = Math.ceil(this.low / step); index * step <= this.high && found.length < 50; index += 1) {
      found.push(Number((index * step).toPrecision(12)));
    }
    return found;
  }
}

// Places for labels that would lie on one another: as near as can be to where they belong, but apart by at least so much
// (isotonic regression, by pooling neighbours).
function spread(places, apart, low, high) {
  const order = places.map((_, index) => index).sort((a, b) => places[a] - places[b]);
  const pools = [];
  order.forEach((index, rank) => {
    pools.push({ sum: places[index] - rank * apart, count: 1 });
    while (pools.length > 1) {
      const [before, last] = pools.slice(-2);
      if (before.sum / before.count <= last.sum / last.count) break;
      pools.splice(-2, 2, { sum: before.sum + last.sum, count: before.count + last.count });
    }
  });
  const highest = Math.max(low, high - (places.length - 1) * apart);
  const found = [];
  let rank = 0;
  for (const { sum, count } of pools) {
    const place = Math.min(Math.max(sum / count, low), highest);
    for (let done = 0; done < count; done += 1, rank += 1) found[order[rank]] = place + rank * apart;
  }
  return found;
}
