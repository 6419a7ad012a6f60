// Asks the service. What it refuses is a Problem, in the service's own words.

import { back, noticeAway } from "./health.js";
import { anotherKey, key } from "./key.js";

const TRIES = 10;
const BREAKS = 3; // of one request, though the service is there

export class Problem extends Error {
  constructor(status, code, detail) {
    super(detail);
    this.status = status;
    this.code = code;
  }
}

// The response, once there is one that is good: it waits for a service that is away, and for its turn at a busy one.
export async function ask(path, options = {}) {
  for (let tries = 1; ; tries += 1) {
    const brought = key();
    const response = await reach(path, options, brought);
    if (response.ok) return response;
    const problem = await problemOf(response);
    if (response.status === 401 && (await anotherKey(brought, problem.message))) continue;
    const wait = response.headers.get("Retry-After"); // which says that the same may be answered later
    if (wait === null || tries === TRIES) throw problem;
    await pause(Number(wait), options.signal);
  }
}

export async function askJson(path, options) {
  return (await ask(path, options)).json();
}

async function reach(path, options, brought) {
  const headers = { ...options.headers, ...(brought ? { Authorization: `Bearer ${brought}` } : {}) };
  for (let breaks = 1; ; breaks += 1) {
    try {
      return await fetch(path, { ...options, headers, cache: "no-store" });
    } catch (error) {
      if (options.signal?.aborted) throw error; // by the page, or since it took too long
      if (breaks > BREAKS) throw new Problem(0, "broken_off", "The request broke off again and again, though the service is there.");
      noticeAway();
      await back();
    }
  }
}

async function problemOf(response) {
  try {
    const { code, detail } = await response.json();
    return new Problem(response.status, code, detail);
  } catch {
    return new Problem(response.status, "http_error", `The service answered with status ${response.status}.`);
  }
}

function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, 1000 * seconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}
