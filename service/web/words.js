// Numbers as people read them; no line breaks between a number and what it counts in.

// A share that is not all of it never reads as 100 %.
export function percent(share, digits = 1) {
  const most = 1 - 10 ** -(digits + 2);
  return `${(100 * (share < 1 ? Math.min(share, most) : share)).toFixed(digits)}\u00a0%`;
}

export function duration(seconds) {
  if (seconds < 1) return `${Math.max(1, Math.round(seconds * 1000))}\u00a0ms`;
  return seconds < 60 ? `${seconds.toFixed(1)}\u00a0s` : `${Math.floor(seconds / 60)}\u00a0min ${Math.round(seconds % 60)}\u00a0s`;
}

export function count(number, noun) {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}

export function size(bytes) {
  if (!bytes) return "–";
  return bytes < 1e6 ? `${Math.round(bytes / 1e3)}\u00a0kB` : `${(bytes / 1e6).toFixed(1)}\u00a0MB`;
}
